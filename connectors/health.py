"""How the connected systems are: checked on a schedule in the web process, and when a person asks.

A check asks the adapter, waits a bounded time, and keeps what it found with the connection. It raises nothing: a
connection that cannot even be opened is unhealthy, with the reason.
"""

import asyncio
import random
from datetime import UTC, datetime
from typing import Final

import structlog

from access.refusal import Refusal
from access.text import visible
from connectors.asking import Asking
from connectors.contract import BackendError, Health, HealthReport
from connectors.entry import Checked, Entry
from connectors.state.errors import StateError

log = structlog.get_logger()

SECONDS: Final = 10.0
"""How long a system may take to answer a check."""
AT_A_TIME: Final = 8
_REASON: Final = 500


async def check(asking: Asking, entry: Entry) -> tuple[HealthReport, Checked]:
    """Return how a system is, and what is kept of that. Raises StateError when it cannot be kept."""
    report = await _report(asking, entry)
    reason = asking.redaction.text(visible(report.reason, _REASON))
    shown = HealthReport(report.health, reason, asking.redaction.text(visible(report.version, 100)))
    checked = Checked(report.health, reason, datetime.now(UTC))
    await asyncio.to_thread(asking.directory.record, entry, checked)
    return shown, checked


async def check_all(asking: Asking) -> None:
    """Check all enabled connections of all users, some at a time. Raises StateError."""
    room = asyncio.Semaphore(AT_A_TIME)

    async def one(entry: Entry) -> None:
        async with room:
            _, checked = await check(asking, entry)
        if checked.health is not entry.checked.health:
            log.info(
                "The health of a connection changed.",
                backend_type=entry.backend_type,
                connection_id=entry.id,
                health=checked.health.value,
            )

    entries = await asyncio.to_thread(asking.directory.everyones)
    async with asyncio.TaskGroup() as group:
        for entry in entries:
            if entry.is_enabled:
                group.create_task(one(entry))


async def keep_checking(asking: Asking, seconds: float) -> None:
    """Check all connections again and again, and close adapters that are not used. Runs until it is cancelled."""
    while True:
        try:
            await check_all(asking)
        except* StateError as errors:
            log.warning("The health of connections cannot be kept.", reason=str(errors.exceptions[0]))
        except* Exception as errors:  # noqa: BLE001  the schedule goes on, whatever one round met
            log.error("A round of health checks failed.", error=type(errors.exceptions[0]).__name__)  # noqa: TRY400
        await asking.pool.close_idle()
        # Not all processes at the same moment.
        await asyncio.sleep(seconds * random.uniform(0.9, 1.1))  # noqa: S311  no secret


async def _report(asking: Asking, entry: Entry) -> HealthReport:
    try:
        async with asyncio.timeout(SECONDS), asking.adapter(entry) as adapter:
            return await adapter.health()
    except TimeoutError:
        return HealthReport(Health.UNHEALTHY, f"No answer within {SECONDS:g} seconds.")
    except (BackendError, Refusal, StateError) as error:
        return HealthReport(Health.UNHEALTHY, str(error))
    except Exception as error:  # noqa: BLE001  the code of another distribution, or a fault of an adapter
        log.warning("An adapter failed.", backend_type=entry.backend_type, error=type(error).__name__)
        return HealthReport(Health.UNKNOWN, f"The adapter failed ({type(error).__name__}).")
