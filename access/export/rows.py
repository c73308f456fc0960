"""Rows of the store streamed into a file in a format that the engine writes, and counted, so that no cut goes unseen.

Whatever the size of an export, about a megabyte of it is in memory. What the engine has to group, and to return to one
statement, is bounded as well: a large piece is read in slices by session.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from access.export.files import Target
from access.export.request import ExportRequest, Format, Level
from access.export.watermark import Piece, Plan
from access.reading import bounds, statement
from access.refusal import Code, Refusal
from access.store import Store
from access.telemetry_sources import BENCHMARKS, filtered

SLICE: Final = 250_000
"""Events that one statement returns or groups, about."""
FREE_TEXT: Final = ("command", "api_error_message", "error_message", "attributes")
"""The columns that Level.strict leaves out."""
_SLICED: Final = "cityHash64(session_id) % {slices:UInt64} = {slice:UInt64}"
_ISO: Final = "concat(replaceOne(toString(toTimeZone(timestamp, 'UTC')), ' ', 'T'), 'Z') AS timestamp"
_BENCHMARKS: Final = "/* benchmarks */"
_DETAILS: Final[Mapping[Level, str]] = {
    Level.strict: "failure",
    Level.keep: (
        "concat(failure, if(error_message = '' AND api_error_message = '', '', ': '), error_message,"
        " api_error_message)"
    ),
}
# What spreadsheets take for the beginning of a formula (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA: Final = "if(match({0}, '^[=+\\\\-@\\\\t\\\\r\\\\n＝＋－＠]'), concat('''', {0}), {0})"  # noqa: RUF001
_TEXTS: Final = ("benchmark_id", "mcp_server", "task_type")
_FORMATS: Final[Mapping[Format, str]] = {Format.jsonl: "JSONEachRow", Format.parquet: "Parquet"}
_PARQUET_END: Final = b"PAR1"
_HEADER: Final = (
    "benchmark_id,timestamp,mcp_server,task_type,duration_ms,tokens_in,tokens_out,success,error_count,"
    "retrieval_calls,avg_response_size\n"
)
Advance = Callable[[int], None]
"""Called with how many more events are written."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a plan that is asked for in one statement: some of its pieces, and one of so many slices of them."""

    pieces: tuple[Piece, ...]
    number: int = 0
    of: int = 1

    @property
    def records(self) -> int:
        """About how many events it has."""
        return sum(piece.records for piece in self.pieces) // self.of

    def conditions(self, plan: Plan) -> tuple[str, ...]:
        """Return the conditions on its events, constants all."""
        return (*plan.conditions(), *((_SLICED,) if self.of > 1 else ()))

    def values(self, plan: Plan) -> dict[str, str]:
        """Return the values of these conditions."""
        sliced = {"slices": str(self.of), "slice": str(self.number)} if self.of > 1 else {}
        return plan.values(self.pieces) | sliced


def parts(pieces: Sequence[Piece], size: int = SLICE) -> list[Part]:
    """Return the parts of some pieces, each of about `size` events at most. A session is in one of them."""
    together = tuple(pieces)
    slices = max(1, -(-sum(piece.records for piece in together) // size))
    return [Part(together, number, slices) for number in range(slices)]


def events_file(part: Part, output_format: Format) -> str:
    """Return the name of a file of events."""
    day = "-".join(piece.partition for piece in part.pieces)
    name = f"events-{day}" if day else "events"
    return f"{name}-{part.number + 1:03}.{output_format}" if part.of > 1 else f"{name}.{output_format}"


def write_events(
    store: Store, target: Target, request: ExportRequest, plan: Plan, part: Part, advance: Advance
) -> None:
    """Write the events of a part as they are stored, less what the level leaves out. Raises Refusal."""
    left_out = f" EXCEPT ({', '.join(FREE_TEXT)})" if request.level is Level.strict else ""
    # Parquet has times of its own.
    columns = f"*{left_out}" if request.format is Format.parquet else f"*{left_out} REPLACE ({_ISO})"
    sql = statement("export_events").replace("/* columns */", columns)
    values = bounds(request.period) | part.values(plan)
    expected = _count(store, statement("export_count"), part.conditions(plan), values)
    counter = _Lines() if request.format is Format.jsonl else _Ending()
    for piece in store.stream(filtered(sql, part.conditions(plan)), values, _FORMATS[request.format]):
        counter.see(piece)
        target.write(piece)
    if isinstance(counter, _Ending):
        # The count is in the file's binary footer: it is held against a second count, and the footer is there.
        rows = _count(store, statement("export_count"), part.conditions(plan), values)
        if counter.last != _PARQUET_END:
            rows = -1
    else:
        rows = counter.rows
    _check(rows, expected, plan)
    target.rows += rows
    advance(part.records)


def write_benchmarks(
    store: Store, target: Target, request: ExportRequest, plan: Plan, advance: Advance
) -> None:
    """Write what each session did with one MCP server, or without any, as CSV. Raises Refusal."""
    target.write(_HEADER.encode())
    sql = statement("export_benchmarks").replace(_BENCHMARKS, BENCHMARKS.sql)
    for name in _TEXTS:
        sql = sql.replace(f"/* {name} */", _FORMULA.format(name) if request.defuse_formulas else name)
    for part in parts(plan.pieces) if plan.pieces else []:
        values = bounds(request.period) | part.values(plan)
        expected = _count_benchmarks(store, part.conditions(plan), values)
        counter = _CsvLines()
        for piece in store.stream(filtered(sql, part.conditions(plan)), values, "CSV"):
            counter.see(piece)
            target.write(piece)
        _check(counter.rows, expected, plan)
        target.rows += counter.rows
        advance(part.records)


def details(
    store: Store, target: Target, request: ExportRequest, plan: Plan, advance: Advance
) -> Iterator[bytes]:
    """Yield the same rows as the items of a JSON array, without its brackets. Raises Refusal."""
    sql = statement("export_details").replace(_BENCHMARKS, BENCHMARKS.sql)
    sql = sql.replace("/* details */", _DETAILS[request.level])
    is_first = True
    for part in parts(plan.pieces) if plan.pieces else []:
        values = bounds(request.period) | part.values(plan)
        expected = _count_benchmarks(store, part.conditions(plan), values)
        counter = _Lines()
        for piece in store.stream(filtered(sql, part.conditions(plan)), values, "JSONEachRow"):
            if not piece:
                continue
            begins_row = counter.ends_row
            counter.see(piece)
            # A row has no line break but the one at its end, where the next row may not follow.
            if begins_row and not is_first:
                yield b",\n"
            is_first = False
            yield piece.removesuffix(b"\n").replace(b"\n", b",\n")
        _check(counter.rows, expected, plan)
        target.rows += counter.rows
        advance(part.records)


class _Lines:
    """Counts the rows of a format that has one a line."""

    def __init__(self) -> None:
        self.rows = 0
        self.ends_row = True

    def see(self, piece: bytes) -> None:
        """Count what was read."""
        self.rows += piece.count(b"\n")
        self.ends_row = piece.endswith(b"\n")


class _CsvLines:
    """Counts the rows of CSV, whose texts may have line breaks between their quotation marks."""

    def __init__(self) -> None:
        self.rows = 0
        self._is_quoted = False

    def see(self, piece: bytes) -> None:
        """Count what was read. A doubled mark leaves the text and enters it again."""
        sections = piece.split(b'"')
        self.rows += sum(section.count(b"\n") for section in sections[self._is_quoted :: 2])
        self._is_quoted ^= len(sections) % 2 == 0


class _Ending:
    """Keeps the last bytes."""

    def __init__(self) -> None:
        self.last = b""

    def see(self, piece: bytes) -> None:
        """Remember how what was read ends."""
        self.last = (self.last + piece[-len(_PARQUET_END) :])[-len(_PARQUET_END) :]


def _count(store: Store, sql: str, conditions: Sequence[str], values: Mapping[str, str]) -> int:
    return int(store.rows(filtered(sql, conditions), values).rows[0][0])


def _count_benchmarks(store: Store, conditions: Sequence[str], values: Mapping[str, str]) -> int:
    return _count(store, f"SELECT count() FROM ({BENCHMARKS.sql})", conditions, values)


def _check(rows: int, expected: int, plan: Plan) -> None:
    """Raise Refusal when rows are missing: the stream was cut, or events were deleted while they were read."""
    # On a cluster more may have arrived.
    if rows == expected or (plan.watermark is None and rows > expected):
        return
    raise Refusal(
        Code.QUERY_FAILED,
        f"{max(rows, 0):,} rows arrived of {expected:,}: the connection broke, or records were deleted meanwhile."
        " The same export started again goes on where it is.",
        retry_after_seconds=10.0,
    )
