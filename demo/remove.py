"""Takes demo data away again, exactly: from the tables that hold it, and from all that was made of it.

It goes the way of every other client, ClickHouse's HTTP interface, as the user who writes. The order matters: what is
found by looking into another table goes before that table does, so that a removal that was interrupted can be repeated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from clickhouse.client import Source, connect

_STATEMENTS: Final = Path(__file__).parent / "sql"
# In this order; a table that does not exist is left out.
_DERIVED: Final = (
    ("telemetry_hourly", "by_user", ""),
    ("telemetry_daily", "by_user", ""),
    ("telemetry_sessions", "by_session", ""),
    ("telemetry_spans", "by_trace", "trace_id"),
    ("otel_traces_trace_id_ts", "by_trace", "TraceId"),
    ("telemetry_events", "by_event", ""),
)
_TIMEOUT_SECONDS: Final = 3600


class RemoveError(Exception):
    """Nothing, or not all, was taken away. The text has the remedy."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A table, and how many rows it lost."""

    table: str
    rows: int


class Database:
    """A connection that may write. Raises RemoveError when there is none to be had."""

    def __init__(self, source: Source) -> None:
        self._database = source.database
        try:
            self._client = connect(source, _TIMEOUT_SECONDS)
        except (ClickHouseError, OSError) as error:
            raise RemoveError(
                f"Nothing lets {source.user} in at {source.url} ({type(error).__name__}): start the server; run this"
                " where its data directory is, or set CLICKHOUSE_PASSWORD."
            ) from None

    def has_demo(self) -> bool:
        """Tell whether there is any demo data. Raises RemoveError."""
        return bool(self._rows(_sql("is_there")))

    def remove(self) -> Iterator[Removed]:
        """Take the demo data out of one table after the other, and yield what went. Raises RemoveError."""
        tables = {str(name): bool(marked) for name, marked in self._rows(_sql("tables"))}
        steps = [step for step in _DERIVED if step[0] in tables]
        steps += [(table, "by_resource", "") for table, marked in tables.items() if marked]
        for table, condition, column in steps:
            yield Removed(table, self._remove(table, _sql(condition), {"id": column} if column else {}))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _remove(self, table: str, condition: str, values: dict[str, str]) -> int:
        # The names of tables are the schema's own.
        found = self._rows(f"SELECT count() FROM {table} WHERE {condition}", values)  # noqa: S608
        if rows := int(found[0][0]):
            self._run(f"ALTER TABLE {table} DELETE WHERE {condition}", values)
        return rows

    def _rows(self, sql: str, values: dict[str, str] | None = None) -> Sequence[Sequence[Any]]:
        try:
            return self._client.query(sql, parameters=values).result_rows
        except (ClickHouseError, OSError) as error:
            raise RemoveError(_stopped(error)) from None

    def _run(self, sql: str, values: dict[str, str]) -> None:
        try:
            self._client.command(sql, parameters=values, settings={"mutations_sync": 2})
        except (ClickHouseError, OSError) as error:
            raise RemoveError(_stopped(error)) from None


def _sql(name: str) -> str:
    return (_STATEMENTS / f"{name}.sql").read_text(encoding="utf-8")


def _stopped(error: Exception) -> str:
    return f"The database did not do it: {str(error)[:500]}. What is left goes when this is run again."
