"""What the tables say of Claude Code's use, as Prometheus metrics: spend, events, changes of permissions, newest rows.

Asked once a minute and kept, so a scrape costs nothing; a few hundred samples at most, whose labels are words of ours.
When the tables cannot be asked the last answer stays: `telemetry_usage_refreshed_timestamp_seconds` says how old it is,
and a counter how often that was.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from clickhouse.client import connect
from clickhouse.engine import Engine
from clickhouse.http.session import Session
from clickhouse.server import Address

log = structlog.get_logger()

REFRESH_SECONDS: Final = 60.0
_QUERY_SECONDS: Final = 20
_SQL: Final = Path(__file__).with_name("usage.sql")

Rows = Sequence[tuple[str, Sequence[str], float]]
"""Measure, labels, value."""


class UsageMeters:
    """The instruments, in the registry of the server's other metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.cost = Gauge(
            "telemetry_cost_usd",
            "Spend in dollars, as the client reports it: of the last hour, of today, of the seven days before, of this"
            " month (UTC).",
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
        by_measure = {"cost": self.cost, "event": self.events, "mode": self.modes, "newest": self.newest}
        self.events.clear()
        self.modes.clear()
        for measure, labels, value in rows:
            by_measure[measure].labels(*labels).set(value)
        self.refreshed.set(time.time())


class Usage:
    """Keeps the metrics up to date. `ask` runs the query, in a thread; what it raises is counted."""

    def __init__(
        self, ask: Callable[[str], Rows], meters: UsageMeters, budget_usd: float | None, data: Path
    ) -> None:
        self._ask = ask
        self._meters = meters
        self._sql = _SQL.read_text(encoding="utf-8")
        meters.budget.set(budget_usd or 0)
        meters.disk_free.set_function(lambda: shutil.disk_usage(data).free)
        meters.disk_size.set_function(lambda: shutil.disk_usage(data).total)

    async def run(self, stopping: asyncio.Event) -> None:
        """Refresh until the server stops; a question under way is waited for, which its limit bounds."""
        while not stopping.is_set():
            await self.refresh()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Ask the tables once; a failure is counted, and leaves what was known."""
        try:
            self._meters.show(await asyncio.to_thread(self._ask, self._sql))
        except Exception as error:  # noqa: BLE001  whatever the store does, ingest goes on
            self._meters.failures.inc()
            # Its name alone: the engine's text could quote data.
            log.warning("The tables could not be asked for usage metrics.", error=type(error).__name__)


def ask_engine(engine: Engine, database: str) -> Callable[[str], Rows]:
    """Ask the embedded tables, on a connection of its own for each question, read-only and after ingest."""

    def ask(sql: str) -> Rows:
        session = Session(engine, "usage metrics")
        try:
            limits = {
                "max_execution_time": str(_QUERY_SECONDS),
                "max_threads": "1",
                "os_threads_nice_value_query": "10",
                "output_format_json_quote_64bit_integers": "0",
            }
            session.settle(database, limits, read_only=True)
            data, _ = session.fetch(sql, "JSONCompactEachRow", {})
        finally:
            session.close()
        return [_row(orjson.loads(line)) for line in data.splitlines()]

    return ask


def ask_server(address: Address) -> Callable[[str], Rows]:
    """Ask a ClickHouse server's tables, on a connection of its own for each question."""

    def ask(sql: str) -> Rows:
        client = connect(address, _QUERY_SECONDS, address.connect_seconds)
        try:
            return [_row(row) for row in client.query(sql).result_rows]
        finally:
            client.close()

    return ask


def _row(row: Sequence[Any]) -> tuple[str, Sequence[str], float]:
    measure, labels, value = row
    return str(measure), [str(label) for label in labels], float(value)
