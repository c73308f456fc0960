"""Claude Code's use, read from the tables, as Prometheus metrics: spend, events, changes of permissions, newest rows.

The tables are read once a minute while the metrics are scraped, so a scrape costs nothing, and nor does a server that
no Prometheus watches. There are a few hundred samples at most, whose labels are
this program's own words. When the tables cannot be read, the last values stay:
`telemetry_usage_refreshed_timestamp_seconds` shows their age, and a counter the number of failures.
"""

import asyncio
import contextlib
import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from access import records
from clickhouse.endpoint import ServerEndpoint

log = structlog.get_logger()

REFRESH_SECONDS: Final = 60.0
WATCHED_SECONDS: Final = 600.0
"""For so long after a scrape the tables are read. A later one sees the last values, and has them read again."""
QUERY_SECONDS: Final = 20
_SQL: Final = Path(__file__).with_name("usage.sql")

Rows = Sequence[tuple[str, Sequence[str], float]]
"""Measure, labels, value."""


class UsageMetrics:
    """The instruments, in the registry of the server's other metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.cost = Gauge(
            "telemetry_cost_usd",
            "Spend in dollars, reported or recomputed: of the last hour, of today, of the seven days before,"
            " of this month (UTC).",
            ["period"], registry=registry,
        )  # fmt: skip
        self.recomputed = Gauge(
            "telemetry_cost_recomputed_usd",
            "How much of it is recomputed from tokens and prices, since the client sent no cost.",
            ["period"], registry=registry,
        )  # fmt: skip
        self.unpriced = Gauge(
            "telemetry_requests_unpriced",
            "Model requests whose cost is not known, which are not in it.",
            ["period"], registry=registry,
        )  # fmt: skip
        self.budget = Gauge(
            "telemetry_budget_usd",
            "What a month may cost, in dollars; 0 when it is not set.",
            registry=registry,
        )
        self.events = Gauge(
            "telemetry_events_last_hour", "Events of the last hour, by type and outcome.",
            ["event", "outcome"], registry=registry,
        )  # fmt: skip
        self.modes = Gauge(
            "telemetry_permission_modes_last_hour",
            "Changes of the permission mode in the last hour, by the new mode.",
            ["mode"], registry=registry,
        )  # fmt: skip
        self.newest = Gauge(
            "telemetry_newest_record_timestamp_seconds",
            "Time of the newest record, by signal; 0 without one in two days.",
            ["signal"], registry=registry,
        )  # fmt: skip
        self.refreshed = Gauge(
            "telemetry_usage_refreshed_timestamp_seconds", "When the tables were last asked for the above.",
            registry=registry,
        )  # fmt: skip
        self.failures = Counter(
            "telemetry_usage_failures", "How often the tables could not be asked.", registry=registry
        )
        self.disk_free = Gauge(
            "telemetry_disk_free_bytes", "Free bytes on the data directory's file system.", registry=registry
        )
        self.disk_size = Gauge(
            "telemetry_disk_size_bytes", "Size of that file system in bytes.", registry=registry
        )

    def show(self, rows: Rows) -> None:
        """Set the gauges to an answer."""
        by_measure = {"cost": self.cost, "recomputed": self.recomputed, "unpriced": self.unpriced}
        by_measure |= {"event": self.events, "mode": self.modes, "newest": self.newest}
        self.events.clear()
        self.modes.clear()
        for measure, labels, value in rows:
            by_measure[measure].labels(*labels).set(value)
        self.refreshed.set(time.time())


class Usage:
    """Keeps the metrics up to date. `ask` runs the query, in a thread; what it raises is counted."""

    def __init__(
        self, ask: Callable[[str], Rows], metrics: UsageMetrics, budget_usd: float | None, data: Path
    ) -> None:
        self._ask = ask
        self._metrics = metrics
        self._sql = records.real(_SQL.read_text(encoding="utf-8"), is_choice=False)
        self._scraped_at = -math.inf
        self._scraped = asyncio.Event()
        metrics.budget.set(budget_usd or 0)
        metrics.disk_free.set_function(lambda: shutil.disk_usage(data).free)
        metrics.disk_size.set_function(lambda: shutil.disk_usage(data).total)

    def scraped(self) -> None:
        """Note that the metrics are looked at; called in the event loop."""
        self._scraped_at = time.monotonic()
        self._scraped.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Refresh until the server stops; a question under way is waited for, which its limit bounds."""
        while not stopping.is_set():
            await self.refresh()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), REFRESH_SECONDS)
            if time.monotonic() - self._scraped_at > WATCHED_SECONDS:
                self._scraped.clear()
                await _first_of(stopping, self._scraped)

    async def refresh(self) -> None:
        """Ask the tables once; a failure is counted, and leaves what was known."""
        try:
            self._metrics.show(await asyncio.to_thread(self._ask, self._sql))
        except Exception as error:  # noqa: BLE001  whatever the store does, ingest goes on
            self._metrics.failures.inc()
            # Its name alone: the engine's text could quote data.
            log.warning("The tables could not be asked for usage metrics.", error=type(error).__name__)


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def ask_server(endpoint: ServerEndpoint) -> Callable[[str], Rows]:
    """Return a function that asks a ClickHouse server's tables, on a connection of its own for each question."""
    from clickhouse.client import Client  # noqa: PLC0415  its driver takes a fifth of a second to import

    def ask(sql: str) -> Rows:
        with Client(endpoint, QUERY_SECONDS, connect_seconds=endpoint.connect_seconds) as client:
            return [row_of(row) for row in client.rows(sql)]

    return ask


def row_of(row: Sequence[Any]) -> tuple[str, Sequence[str], float]:
    """Return a row of `usage.sql` with its types."""
    measure, labels, value = row
    return str(measure), [str(label) for label in labels], float(value)
