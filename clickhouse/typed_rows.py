"""Typed rows in embedded mode, made of raw ones as they are stored, by statements that stay open.

A materialized view does the same, and is planned again with each insert, which takes longer than a small batch does. So
the views of `TYPED` are dropped here, and their statements, as the migrations have them, are planned once. A server has
the views: there the work is the server's.

The raw block is inserted first, then the typed rows under its token. An insert that is repeated, after a failure or a
kill, makes both again, and each table knows the token: nothing is missing and nothing is there twice.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from clickhouse.engine import Engine, EngineError
from clickhouse.migrations import migrations
from clickhouse.pieces import Pieces
from clickhouse.quoting import identifier, literal
from clickhouse.store import PartWriter, StoreAway, insert_error
from clickhouse.stream import Stream, StreamEndedError

TYPED: Final[Mapping[str, tuple[str, ...]]] = {"otel_logs": ("telemetry_events",)}
"""The tables that are made of a raw one, each by the statement of its view, `<table>_mv`."""
VIEWS: Final = tuple(f"{table}_mv" for typed in TYPED.values() for table in typed)
# A raw row of which each statement makes one, in addition to its service's name, which all of them keep.
_KEPT: Final = {"telemetry_events": {"ScopeName": "com.anthropic."}}
_SETTINGS: Final = (
    "max_threads = 1, compile_expressions = 0, query_plan_merge_expressions = 0,"
    " optimize_and_compare_chain = 0"
)
# The last block has one row, whose texts are short.
_LAST_BYTES: Final = 1 << 14


class TypedRows:
    """Inserts blocks into the engine's database with the typed rows of them, instead of its views."""

    def __init__(self, writer: PartWriter, engine: Engine) -> None:
        self._writer = writer
        for view in VIEWS:
            engine.command(f"DROP VIEW IF EXISTS {view}")
        self._typing = {
            table: [_Typing(engine, table, one) for one in typed] for table, typed in TYPED.items()
        }

    def insert(self, table: str, block: Pieces, token: str, *, one_part: bool = False) -> None:
        """Insert a block and the typed rows of it, which are of no other days."""
        self._writer.insert(table, block, token, one_part=one_part)
        for typing in self._typing.get(table, ()):
            if rows := typing.rows(block):
                self._writer.insert(typing.table, rows, token)

    def close(self) -> None:
        """Close the statements, and the writer below."""
        for typed in self._typing.values():
            for typing in typed:
                typing.close()
        self._writer.close()


def typed_sql(engine: Engine, raw: str, table: str, source: str) -> str:
    """Return the statement that makes the rows of a typed table, in its types, of what is read from `source`."""
    database = identifier(engine.rows("SELECT currentDatabase()")[0][0])
    # A statement that stays open would keep the time at which it was planned.
    select = re.sub(r"\bnow64\(", "nowInBlock64(", _statement(f"{table}_mv"))
    select = re.sub(rf"\bFROM {raw}\n", f"FROM {source}\n", select)
    select = re.sub(r"\bFROM model_prices\n", f"FROM {database}.model_prices\n", select)
    columns = engine.rows(
        "SELECT name, type, default_expression FROM system.columns"
        " WHERE database = currentDatabase() AND table = {table:String} ORDER BY position",
        {"table": table},
    )
    listed = ", ".join(
        f"CAST({default if default and not _makes(select, name) else identifier(name)}, {literal(kind)})"
        f" AS {identifier(name)}"
        for name, kind, default in columns
    )
    return f"SELECT {listed} FROM (\n{select})"  # noqa: S608  the schema's names and the program's own text


def _statement(view: str) -> str:
    """Return the SELECT of a view as the newest migration has it."""
    texts = [
        found[1]
        for migration in migrations()
        if (found := re.search(rf"\b{view}\b[^\n]* (?:MODIFY QUERY|AS)\n(.*)", migration.sql, re.DOTALL))
    ]
    return texts[-1]


def _makes(select: str, column: str) -> bool:
    return re.search(rf"\bAS {column}\b", select) is not None


@dataclass(slots=True)
class _Typing:
    """The statements of one typed table: one for each thread that inserts at a time, opened at the first need."""

    engine: Engine
    raw: str
    table: str
    idle: "list[_Open]" = field(default_factory=list)

    def rows(self, block: Pieces) -> Pieces | None:
        """Return the typed rows of a raw block, None when there are none. Raises StoreAway, BlockRefused."""
        try:
            opened = self._take()
            try:
                made = opened.stream.pass_blocks([*block, opened.last], opened.is_last)
            except BaseException:
                self.engine.drop(opened.stream)  # its next block may not belong to the next input
                raise
        except EngineError as error:
            raise insert_error(self.table, error.code, error.name) from None
        except StreamEndedError:
            raise StoreAway(f"The rows of {self.table} were not made in time", "NOT_TYPED") from None
        self.idle.append(opened)
        return Pieces.joined(made) if made else None

    def close(self) -> None:
        """Close the statements that are not in use; the engine closes all."""
        while self.idle:
            self.engine.drop(self.idle.pop().stream)

    def _take(self) -> "_Open":
        try:
            return self.idle.pop()
        except IndexError:
            return self._open()

    def _open(self) -> "_Open":
        columns = self.engine.rows(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}",
            {"table": self.raw},
        )
        structure = ", ".join(f"{identifier(name)} {kind}" for name, kind in columns)
        # No row that a client sends has this name.
        mark = uuid.uuid4().hex
        row = {"ServiceName": mark, **_KEPT[self.table]}
        last = self.engine.query(
            f"SELECT {', '.join(f'{literal(text)} AS {name}' for name, text in row.items())}"
        )
        sql = typed_sql(
            self.engine, self.raw, self.table, "file({batch:String}, 'Native', {structure:String})"
        )
        stream = self.engine.stream(f"{sql}\nSETTINGS {_SETTINGS}", {"structure": structure}, [last])
        return _Open(stream, last, mark.encode())


@dataclass(frozen=True, slots=True)
class _Open:
    """A stream, the block that is put behind each input, and the mark by which the block made of that is known."""

    stream: Stream
    last: bytes
    mark: bytes

    def is_last(self, block: memoryview) -> bool:
        """Whether a block is the one that was made of `last`."""
        return len(block) < _LAST_BYTES and self.mark in bytes(block)
