"""Where blocks of rows go: the tables of the embedded engine, or a ClickHouse server (`clickhouse.server`).

A `Writer` takes a block in Native format and returns once it is committed: on disk and fsynced in the
embedded engine, acknowledged by the server otherwise. Each block has a token that stays with it, so that
a repeated insert of the same block adds no row. What fails raises `StoreAway`, to be tried again, or
`BlockRefused`, which will not pass as it is.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from clickhouse.engine import Engine, EngineError, memory_file
from clickhouse.faults import CREDENTIALS, PERMANENT, TOO_MANY_PARTS
from clickhouse.pieces import Pieces

INSERT_SETTINGS: Final[Mapping[str, int]] = {
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "materialized_views_ignore_errors": 0,
    # A column that the table lacks is an error, not a column to leave out.
    "input_format_skip_unknown_fields": 0,
}


class StoreError(Exception):
    """The store cannot be used as it is; the text has the remedy, and never data."""


class StoreAway(StoreError):  # noqa: N818  what happened, as in Python's own StopIteration
    """An insert was not acknowledged, and may be if it is tried again. It may have happened all the same.

    `reason` is a few words for metrics and logs; `whole` says that other tables will fare no better.
    """

    def __init__(self, text: str, reason: str = "unknown", *, whole: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.whole = whole


class BlockRefused(StoreError):  # noqa: N818  what happened, as in Python's own StopIteration
    """The table does not take this block and never will as both are. `reason` is ClickHouse's name for why."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class TooManyPartitions(StoreError):  # noqa: N818  what happened, as in Python's own StopIteration
    """The block has rows of more than one day, or the table has too many parts: tell them apart by splitting."""


class Writer(Protocol):
    """The one thing that ingest asks of a database."""

    def insert(self, table: str, block: Pieces, token: str) -> None:
        """Insert a Native block once, however often it is called with the same token.

        Raises StoreAway or BlockRefused.
        """

    def close(self) -> None:
        """Give back connections."""


class PartWriter(Protocol):
    """A writer that can be told to refuse what is not one part: a block with rows of several partitions."""

    def insert(self, table: str, block: Pieces, token: str, *, one_part: bool = False) -> None:
        """Insert as `Writer` does. Raises TooManyPartitions too when `one_part`."""

    def close(self) -> None:
        """Give back connections."""


class EmbeddedWriter:
    """Writes to the tables of the engine in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def insert(self, table: str, block: Pieces, token: str, *, one_part: bool = False) -> None:
        """Insert a Native block; committed and fsynced when this returns."""
        try:
            self._engine.insert(table, block, insert_settings(token, one_part=one_part))
        except EngineError as error:
            raise fault(table, error.code, error.name, one_part=one_part) from None

    def close(self) -> None:
        """Nothing to give back: the engine has an owner of its own."""


class DailyWriter:
    """Inserts one day at a time, which is one partition: then a block is stored as a whole or not at all.

    Nearly every block is of one day, and the store itself says when one is not.
    """

    def __init__(self, writer: PartWriter, engine: Engine) -> None:
        self._writer = writer
        self._engine = engine

    def insert(self, table: str, block: Pieces, token: str) -> None:
        """Insert a block as it is, or its days one by one, each with a token made from the block's."""
        try:
            self._writer.insert(table, block, token, one_part=True)
        except TooManyPartitions:
            for day, rows in self._days(table, block):
                self._writer.insert(table, rows, f"{token}-{day}")

    def close(self) -> None:
        """Give back what the writer below has."""
        self._writer.close()

    def _days(self, table: str, block: Pieces) -> list[tuple[str, Pieces]]:
        column = "Timestamp" if table in {"otel_traces", "otel_logs"} else "TimeUnix"
        with memory_file(block) as path:
            days = self._engine.rows(
                f"SELECT DISTINCT toString(toDate32({column}, 'UTC')) AS day FROM file({{path:String}}, Native)"  # noqa: S608
                " ORDER BY day",
                {"path": path},
            )
            of_day = (
                f"SELECT * FROM file({{path:String}}, Native)"  # noqa: S608
                f" WHERE toString(toDate32({column}, 'UTC')) = {{day:String}}"
            )
            return [
                (day, Pieces([self._engine.query(of_day, {"path": path, "day": day})])) for (day,) in days
            ]


def insert_settings(token: str, *, one_part: bool) -> Mapping[str, int | str]:
    """Give an insert's settings."""
    return {
        **INSERT_SETTINGS,
        "insert_deduplication_token": token,
        # 0: any number; the default refuses a late client's batch of more than 100 days.
        "max_partitions_per_insert_block": int(one_part),
    }


def fault(table: str, code: int, name: str, *, one_part: bool = False) -> StoreError:
    """Tell what ClickHouse's error means for an insert. The name is its own or "", and not to be trusted."""
    if one_part and code == TOO_MANY_PARTS:
        return TooManyPartitions(f"Inserting into {table} failed: TOO_MANY_PARTS")
    if code in PERMANENT:
        return BlockRefused(
            f"Inserting into {table} failed: {PERMANENT[code]} (code {code})", PERMANENT[code]
        )
    if code in CREDENTIALS:
        return StoreAway(
            f"Inserting into {table} failed: {CREDENTIALS[code]} (code {code}): check CLICKHOUSE_USER,"
            " CLICKHOUSE_PASSWORD and the user's rights; nothing is lost meanwhile",
            CREDENTIALS[code],
            whole=True,
        )
    known = name if name.isascii() and name.replace("_", "").isalnum() else "UNKNOWN"
    return StoreAway(f"Inserting into {table} failed: {known} (code {code})", known)
