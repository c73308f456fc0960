"""Where blocks of rows go: the tables of the embedded engine, or a ClickHouse server (`clickhouse.remote`).

A `Writer` takes a block in Native format and returns once it is committed: on disk and fsynced in the
embedded engine, acknowledged by the server otherwise. Each block has a token that stays with it, so that
a repeated insert of the same block adds no row. A failure raises `StoreAway`, to be tried again, or
`BlockRefused`, which fails every time.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from clickhouse.engine import Engine, EngineError, memory_file
from clickhouse.error_codes import CREDENTIALS, PERMANENT, TOO_MANY_PARTS
from clickhouse.pieces import Pieces

INSERT_SETTINGS: Final[Mapping[str, int]] = {
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "materialized_views_ignore_errors": 0,
    # A column that the table lacks is an error, not a column to leave out.
    "input_format_skip_unknown_fields": 0,
    # An insert plans the query of each view that it feeds, whatever its size. These two steps of planning look for what
    # the views' queries do not have, and took half of an insert of one record: 284 ms of CPU with them, 145 without.
    "optimize_and_compare_chain": 0,
    "query_plan_merge_expressions": 0,
}

MANY_DAYS: Final = "many_days"
"""Why a block waits of which some days are stored."""
DAYS_AT_ONCE: Final = 8
"""So many days of a block are inserted by one call. Each is an insert of its own, into every table that views fill."""


class StoreError(Exception):
    """The store cannot be used as it is; the text has the remedy, and never data."""


class StoreAway(StoreError):  # noqa: N818  what happened, as in Python's own StopIteration
    """An insert was not acknowledged, and another try may succeed. The rows may be stored all the same.

    `reason` is a few words for metrics and logs; `whole` says that other tables will fail too.
    """

    def __init__(self, text: str, reason: str = "unknown", *, whole: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.whole = whole


class StoreUnfit(StoreError):  # noqa: N818  what happened, as in Python's own StopIteration
    """The server is there and cannot be used: a wrong password, a right that is missing, an old version, a schema."""


class DaysLeft(StoreAway):
    """Some days of a block are committed and others are left, since it has many: insert it again to go on."""

    def __init__(self, table: str) -> None:
        super().__init__(f"Inserting into {table} goes on: it has rows of many days", MANY_DAYS)


class BlockRefused(StoreError):  # noqa: N818  what happened, as in Python's own StopIteration
    """The table does not take this block, and never will as both are. `reason` is ClickHouse's name of the error."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class TooManyPartitions(StoreError):  # noqa: N818  what happened, as in Python's own StopIteration
    """The block has rows of more than one day, or the table has too many parts: splitting it by day shows which."""


class Writer(Protocol):
    """The one thing that ingest asks of a database."""

    def insert(self, table: str, block: Pieces, token: str) -> None:
        """Insert a Native block once, however often it is called with the same token.

        Raises StoreAway or BlockRefused.
        """

    def close(self) -> None:
        """Close the connections."""


class PartWriter(Protocol):
    """A writer that can be told to refuse a block of more than one part: one with rows of several partitions."""

    def insert(self, table: str, block: Pieces, token: str, *, one_part: bool = False) -> None:
        """Insert as `Writer` does. Raises TooManyPartitions too when `one_part`."""

    def close(self) -> None:
        """Close the connections."""


class EmbeddedWriter:
    """Writes to the tables of the engine in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def insert(self, table: str, block: Pieces, token: str, *, one_part: bool = False) -> None:
        """Insert a Native block, and return when it is committed and fsynced."""
        try:
            self._engine.insert(table, block, insert_settings(token, one_part=one_part))
        except EngineError as error:
            raise insert_error(table, error.code, error.name, one_part=one_part) from None

    def close(self) -> None:
        """Do nothing: the engine has an owner of its own."""


class DailyWriter:
    """Inserts one day at a time, which is one partition, so that a block is stored as a whole or not at all.

    Nearly every block is of one day, and the store itself says when one is not. Of a block of many days the nearest to
    the present go first, and a call stops after a few, so that nothing waits behind the others. What is left of
    a block is known by its token, in memory: after a restart all its days are inserted again, which adds no row.
    """

    def __init__(self, writer: PartWriter, engine: Engine) -> None:
        self._writer = writer
        self._engine = engine
        self._left: dict[str, list[str]] = {}

    def insert(self, table: str, block: Pieces, token: str) -> None:
        """Insert a block as it is, or its days one by one, each with a token made from the block's.

        Raises DaysLeft when it has more days than one call inserts.
        """
        if token not in self._left:
            try:
                return self._writer.insert(table, block, token, one_part=True)
            except TooManyPartitions:
                pass
        with memory_file(block) as path:
            days = self._left.get(token) or self._days(table, path)
            for day in days[:DAYS_AT_ONCE]:
                self._writer.insert(table, self._day(table, path, day), f"{token}-{day}")
        if len(days) > DAYS_AT_ONCE:
            self._left[token] = days[DAYS_AT_ONCE:]
            raise DaysLeft(table)
        self._left.pop(token, None)
        return None

    def close(self) -> None:
        """Close the writer below."""
        self._writer.close()

    def _days(self, table: str, path: str) -> list[str]:
        """Return the days of a block, the nearest to the present first."""
        rows = self._engine.rows(
            f"SELECT DISTINCT toDate32({_time(table)}, 'UTC') AS day FROM file({{path:String}}, Native)"  # noqa: S608
            " ORDER BY abs(dateDiff('day', day, toDate32(now('UTC'), 'UTC'))), day",
            {"path": path},
        )
        return [str(day) for (day,) in rows]

    def _day(self, table: str, path: str, day: str) -> Pieces:
        of_day = (
            f"SELECT * FROM file({{path:String}}, Native)"  # noqa: S608
            f" WHERE toString(toDate32({_time(table)}, 'UTC')) = {{day:String}}"
        )
        return Pieces([self._engine.query(of_day, {"path": path, "day": day})])


def _time(table: str) -> str:
    return "Timestamp" if table in {"otel_traces", "otel_logs"} else "TimeUnix"


def insert_settings(token: str, *, one_part: bool) -> Mapping[str, int | str]:
    """Return an insert's settings."""
    return {
        **INSERT_SETTINGS,
        "insert_deduplication_token": token,
        # 0: any number; the default refuses a late client's batch of more than 100 days.
        "max_partitions_per_insert_block": int(one_part),
    }


def insert_error(table: str, code: int, name: str, *, one_part: bool = False) -> StoreError:
    """Return the failure that ClickHouse's error means for an insert. `name` is the answer's or "", and not trusted."""
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
