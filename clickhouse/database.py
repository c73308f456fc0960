"""A database that statements run on: the embedded engine, or a ClickHouse over HTTP (`clickhouse.client.Client`).

Code that migrates, backs up, deletes or repairs the tables is written against these protocols, and runs on both.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from clickhouse.quoting import Value

LOAD_SETTINGS: Final[Mapping[str, int]] = {
    # A restore must bring back every row: blocks that look alike are not repeats.
    "insert_deduplicate": 0,
    "max_partitions_per_insert_block": 0,
    # A column that the table lacks is an error, not a column to leave out.
    "input_format_skip_unknown_fields": 0,
}
BESIDE: Final = "x-telemetry-beside"
"""A header of our own, which a ClickHouse server passes over: the statement is asked beside another of one answer."""


class Database(Protocol):
    """Runs statements, each with its parameters bound."""

    def rows(self, sql: str, params: Mapping[str, Value] | None = None) -> Sequence[Sequence[Any]]:
        """Run a query whose result is small, and return its rows as JSON has them: numbers, texts, lists."""

    def command(self, sql: str, params: Mapping[str, Value] | None = None) -> None:
        """Run a statement that returns nothing, and wait until it is done."""


class LoadableDatabase(Database, Protocol):
    """A database whose tables can be filled with rows that were saved."""

    def load(self, table: str, pieces: Iterable[bytes]) -> None:
        """Fill a table with data in Native format, of any size, under LOAD_SETTINGS. `table` is a quoted name."""
