"""Takes demo data away again, exactly: from the tables that hold it, and from all that was made of it.

It goes the way of every other client, ClickHouse's HTTP interface, as the user who writes. The order matters: what is
found by looking into another table goes before that table does, so that a removal that was interrupted can be repeated.
A part that holds nothing else is dropped whole, which takes a hundredth of the time of rewriting it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clickhouse.client import Client
from clickhouse.client_errors import ClientError, StatementRefused
from clickhouse.quoting import literal

_STATEMENTS: Final = Path(__file__).parent / "sql"
# Found by looking into tables that are marked; a table that does not exist is left out.
_DERIVED: Final = (
    ("telemetry_hourly", "by_user", ""),
    ("telemetry_daily", "by_user", ""),
    ("telemetry_sessions", "by_session", ""),
    ("telemetry_measures", "by_user", ""),
    ("telemetry_spans", "by_trace", "trace_id"),
    ("otel_traces_trace_id_ts", "by_trace", "TraceId"),
)
_EVENTS: Final = ("telemetry_events", "by_event", "")
SECONDS: Final = 3600
"""How long the rewriting of a table may take."""
_AT_A_TIME: Final = 50
_TABLES_AT_A_TIME: Final = 8
_GONE: Final = frozenset({232, 384})
"""NO_SUCH_DATA_PART and PART_IS_TEMPORARILY_LOCKED: it was merged meanwhile, and is rewritten instead."""


class RemoveError(Exception):
    """Nothing, or not all, was taken away. The text has the remedy."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A table, and how many rows it lost."""

    table: str
    rows: int


class DemoData:
    """The demo data in a database, as a user who may write sees it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def is_there(self) -> bool:
        """Whether there is any. Raises ClientError."""
        return bool(self._client.rows(_sql("is_there")))

    def remove(self) -> Iterator[Removed]:
        """Remove it from one table after the other, and yield what went. Raises RemoveError."""
        try:
            tables = {str(name): bool(marked) for name, marked in self._client.rows(_sql("tables"))}
            derived = [step for step in _DERIVED if step[0] in tables]
            marked = [_EVENTS] * (_EVENTS[0] in tables)
            marked += [(table, "by_resource", "") for table, is_marked in tables.items() if is_marked]
            # The time goes into waiting for the disk, so the tables of a step go side by side.
            with ThreadPoolExecutor(_TABLES_AT_A_TIME) as pool:
                for steps in (derived, marked):
                    yield from pool.map(self._removed, steps)
        except ClientError as error:
            raise RemoveError(f"{error} What is left goes when this is run again.") from None

    def _removed(self, step: tuple[str, str, str]) -> Removed:
        table, condition, column = step
        return Removed(table, self._remove(table, _sql(condition), {"id": column} if column else {}))

    def _remove(self, table: str, condition: str, values: dict[str, str]) -> int:
        """Drop the parts that hold nothing else, and rewrite the others. Rows that arrive meanwhile have their own."""
        # The names of tables are the schema's own.
        parts = self._client.rows(
            f"SELECT _part, _partition_id, count() AS all, countIf({condition}) AS own"  # noqa: S608
            f" FROM {table} GROUP BY _part, _partition_id HAVING own > 0",
            values,
        )
        whole = [literal(str(part)) for part, _, rows, own in parts if rows == own]
        for start in range(0, len(whole), _AT_A_TIME):
            drops = [f"DROP PART {name}" for name in whole[start : start + _AT_A_TIME]]
            try:
                self._client.command(f"ALTER TABLE {table} {', '.join(drops)}")
            except StatementRefused as error:
                if error.code not in _GONE:
                    raise
        left = self._client.rows(
            f"SELECT DISTINCT _partition_id FROM {table} WHERE {condition}",  # noqa: S608
            values,
        )
        if left:
            deletes = [f"DELETE IN PARTITION ID {literal(str(one))} WHERE {condition}" for (one,) in left]
            self._client.command(f"ALTER TABLE {table} {', '.join(deletes)}", values, {"mutations_sync": 2})
        return sum(int(own) for *_, own in parts)


def _sql(name: str) -> str:
    return (_STATEMENTS / f"{name}.sql").read_text(encoding="utf-8")
