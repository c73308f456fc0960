"""Raw requests in, one private Native block out: the SQL of `clickhouse/transform`, run by the engine.

The requests of a batch go through a pipe to the statement for the target table, which decodes, flattens,
hashes and redacts them in C++. It was planned when it was opened, and reads on (`clickhouse.stream`). Nothing
touches a disk before it is private. Python loops over requests, never over spans or attributes.

A request that the engine refuses fails its whole batch with `Refused`; the caller finds it by bisection.
"""

import hashlib
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from clickhouse.columns import STRUCTURES
from clickhouse.engine import Engine, EngineError
from clickhouse.pieces import Pieces
from clickhouse.quoting import Value
from clickhouse.stream import Stream, StreamEndedError
from clickhouse.varint import read_varint, varint
from otlp.signals import KINDS, METRIC_TABLES, Signal
from privacy.letters import both_cases
from privacy.rules import Rules, RulesError
from privacy.search import sought
from receiver.scrub import Scrub, Tally

FOLDER = Path(__file__).parent.parent / "clickhouse" / "transform"
PROTO = Path(__file__).parent.parent / "clickhouse" / "otlp.proto"

# Hyperscan wants at least one pattern. What this one matches is redacted by no rule.
_NO_PATTERN = r"\x00\x01\x02\x03"
_MEMORY_BYTES = 1 << 30
_SETTINGS = {
    "input_format_protobuf_oneof_presence": "1",
    "allow_suspicious_low_cardinality_types": "1",
    "enable_named_columns_in_function_tuple": "1",
    # Two statements run at a time: more threads each would only fight.
    "max_threads": "1",
    "max_memory_usage": str(_MEMORY_BYTES),
    # Patterns such as an email's have bounded repeats, which Hyperscan deems slow; they are measured.
    "reject_expensive_hyperscan_regexps": "0",
    # Merged, what is said of a resource would be worked out for each of its spans.
    "query_plan_merge_expressions": "0",
    # These make the opening of a statement up to twice as long.
    "optimize_and_compare_chain": "0",
    "compile_expressions": "0",
}
# A large batch passes through in parts: what it needs on the way stays small, and in the processor's cache.
_GROUP_BYTES = 4 << 20
# What Claude Code sends; the first request for another table waits a moment for its statement.
_OPENED_AT_START = ("otel_traces", "otel_logs", "otel_metrics_sum")
# After so long a statement is planned again, which then costs next to nothing: it knows the day that it began on.
_LIFE_SECONDS = 600
# What the engine says of requests that it cannot read. Any other error is ours, and no reason to refuse one.
_UNREADABLE = {
    "ATTEMPT_TO_READ_AFTER_EOF",
    "BAD_ARGUMENTS",  # two members of a oneof
    "CANNOT_PARSE_PROTOBUF_SCHEMA",
    "INCORRECT_DATA",
    "PROTOBUF_BAD_CAST",
    "TOO_LARGE_STRING_SIZE",
    "UNKNOWN_PROTOBUF_FORMAT",
}
_TOO_LARGE = {"MEMORY_LIMIT_EXCEEDED", "TOO_LARGE_ARRAY_SIZE"}
_MESSAGES = {"otel_traces": "TracesData", "otel_logs": "LogsData"}
_HMAC_BLOCK = 64
# The last columns of every statement, which no table has, in their order.
_HASHES = ("Content", "Identity")
_TREATMENTS = {"safe": 1, "hash": 2, "excerpt": 3, "drop": 4, "extract": 5}


def _samples() -> dict[str, Any]:
    """Make one record for each table, of the kinds of value that take the long way."""
    made: list[Any] = [KINDS[signal].request() for signal in Signal]
    traces, logs, metrics = made
    attributes = [
        KeyValue(key="note", value=AnyValue(string_value="a@example.com")),
        KeyValue(key="list", value=AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)]))),
    ]
    traces.resource_spans.add().scope_spans.add().spans.add(attributes=attributes)
    logs.resource_logs.add().scope_logs.add().log_records.add(attributes=attributes)
    found = metrics.resource_metrics.add().scope_metrics.add().metrics
    for kind in METRIC_TABLES:
        getattr(found.add(), kind).data_points.add(attributes=attributes)
    return {"otel_traces": traces, "otel_logs": logs} | dict.fromkeys(METRIC_TABLES.values(), metrics)


_SAMPLES = _samples()


class Refused(Exception):  # noqa: N818  what happened, as in Python's own StopIteration
    """These requests cannot be turned into rows. `too_large` says that they need too much memory."""

    def __init__(self, *, too_large: bool) -> None:
        super().__init__("too large" if too_large else "malformed")
        self.too_large = too_large


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A serialized request, and how many rows it makes in the table."""

    body: bytes
    rows: int


@dataclass(frozen=True, slots=True)
class Block:
    """Rows for one table, in ClickHouse's Native format, and what was done to them.

    `contents` and `identities` have a hash a row, by which a record is known that arrives again; see `repeats`.
    """

    table: str
    data: Pieces
    tally: Tally
    rows: int
    contents: "array[int]"
    identities: "array[int]"


class MakesRows(Protocol):
    """What the pipeline is given: a transform under one set of rules, for any thread."""

    def run(self, table: str, requests: Sequence[Surveyed]) -> Block:
        """Turn serialized Export requests of the table's signal into a block. Raises Refused."""


class Transform:
    """The transform in SQL under one set of rules."""

    def __init__(
        self, engine: Engine, rules: Rules, scrub: Scrub, hash_key: str, retention_days: int
    ) -> None:
        self._engine = engine
        self._scrub = scrub
        self._hash_key = hmac_keys(hash_key)
        self._statements = {table: f"{_sql(table)}\n{_settings(table)}" for table in STRUCTURES}
        self._kinds = {table: {"kind": kind} for kind, table in METRIC_TABLES.items()}
        _try_patterns(engine, rules)
        _create_functions(engine, rules, retention_days)
        self._idle: dict[str, list[_Open]] = {table: [] for table in STRUCTURES}
        for table in _OPENED_AT_START:
            self._idle[table].append(self._open(table))

    def run(self, table: str, requests: Sequence[Surveyed]) -> Block:
        """Turn serialized Export requests of the table's signal into a block.

        Raises Refused when they cannot be read, EngineError when it is not their fault.
        """
        opened = self._take(table)
        try:
            hashes = {name: array("Q") for name in _HASHES}
            blocks = [_block(opened.stream, group, hashes) for group in groups(requests)]
        except Exception as error:
            # Its next block may not belong to the next message.
            self._engine.drop(opened.stream)
            self._scrub.end(opened.statement)
            if _is_refusal(error):
                raise Refused(too_large=isinstance(error, EngineError) and error.name in _TOO_LARGE) from None
            raise
        tally = self._scrub.take(opened.statement)
        self._idle[table].append(opened)
        if tally.malformed:
            raise Refused(too_large=False)
        rows = sum(request.rows for request in requests)
        return Block(table, Pieces.joined(blocks), tally, rows, *hashes.values())

    def _take(self, table: str) -> "_Open":
        """Take an idle stream, or open one."""
        try:
            opened = self._idle[table].pop()
        except IndexError:
            return self._open(table)
        if time.monotonic() - opened.stream.opened < _LIFE_SECONDS:
            return opened
        self._engine.drop(opened.stream)
        self._scrub.end(opened.statement)
        return self._open(table)

    def _open(self, table: str) -> "_Open":
        statement = self._scrub.begin()
        params: dict[str, Value] = {
            "structure": STRUCTURES[table],
            "hash_key": self._hash_key,
            "statement": statement,
            **self._kinds.get(table, {}),
        }
        try:
            stream = self._engine.stream(self._statements[table], params, _SAMPLES[table].SerializeToString())
        except EngineError:
            self._scrub.end(statement)
            raise
        self._scrub.take(statement)
        return _Open(stream, statement)


@dataclass(frozen=True, slots=True)
class _Open:
    """A stream, and the number of its statement, under which is tallied what it does."""

    stream: Stream
    statement: int


def hmac_keys(key: str) -> str:
    """Return the inner and the outer key of HMAC-SHA256 in hex, nothing for no key.

    Source: https://www.rfc-editor.org/rfc/rfc2104
    """
    if not key:
        return ""
    data = key.encode()
    block = (hashlib.sha256(data).digest() if len(data) > _HMAC_BLOCK else data).ljust(_HMAC_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in block).hex() + bytes(byte ^ 0x5C for byte in block).hex()


def groups(requests: Sequence[Surveyed]) -> Iterator[list[Surveyed]]:
    """Yield groups of requests, each one message: encoded messages joined are one with the lists joined.

    Source: https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    group: list[Surveyed] = []
    size = 0
    for request in requests:
        if group and size + len(request.body) > _GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(request)
        size += len(request.body)
    if group:
        yield group


def _block(stream: Stream, group: Sequence[Surveyed], hashes: Mapping[str, "array[int]"]) -> Pieces:
    block = stream.pass_through([request.body for request in group])
    if _rows(block) != sum(request.rows for request in group):
        # Where the engine and the survey differ, as in a oneof that is sent twice, only an encoding that says
        # everything once is certain: the request is refused, and the caller encodes it again.
        raise StreamEndedError
    return _without_hashes(block, hashes)


def _without_hashes(block: Pieces, hashes: Mapping[str, "array[int]"]) -> Pieces:
    """Take the columns of hashes off the end of a block, without a copy of the rest, and gather them.

    A column is its name and its type, each after its length, and then its values; eight bytes each here.
    Source: https://clickhouse.com/docs/interfaces/formats/Native
    """
    view = next(iter(block))
    columns, at = read_varint(view, 0)
    size = 8 * _rows(block)
    end = len(view)
    for name, gathered in reversed(list(hashes.items())):
        gathered.frombytes(view[end - size : end])
        end -= size + len(f".{name}.UInt64")
    return Pieces([varint(columns - len(hashes)), view[at:end]], [block])


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, EngineError):
        return error.name in _UNREADABLE or error.name in _TOO_LARGE
    return isinstance(error, StreamEndedError)


def _rows(block: Pieces) -> int:
    """Return the number of rows of a block in Native format, which begins with its columns and its rows."""
    first = next(iter(block), memoryview(b""))
    if not first:
        return 0
    _, at = read_varint(first, 0)
    rows, _ = read_varint(first, at)
    return rows


def _try_patterns(engine: Engine, rules: Rules) -> None:
    """Raise RulesError for patterns that RE2 takes and Hyperscan, which searches for them, does not."""
    # All at once first: that is what the statements compile too, and nearly always all is well.
    if not rules.patterns or _can_search(engine, sought(rules.patterns)):
        return
    raise RulesError(
        [
            f"the pattern {pattern.name} is not one that Hyperscan can search for; write it more simply,"
            " without large repeats"
            for pattern in rules.patterns
            if not _can_search(engine, [both_cases(pattern.sought)])
        ]
        or ["the patterns together are more than Hyperscan can search for; write them more simply, or fewer"]
    )


def _can_search(engine: Engine, patterns: list[str]) -> bool:
    try:
        engine.command(
            "SELECT multiMatchAny('a', {patterns:Array(String)}) SETTINGS reject_expensive_hyperscan_regexps = 0",
            {"patterns": patterns},
        )
    except EngineError:
        return False
    return True


def treatments_of(rules: Rules) -> dict[str, int]:
    """Return what the rules do with the values of keys, as the numbers of `otlp_treatment`."""
    return {
        key: _TREATMENTS[name]
        for name, keys in (
            ("safe", rules.safe_keys),
            ("hash", rules.hash_keys),
            ("excerpt", rules.excerpt_keys),
            ("drop", rules.drop_keys),
            ("extract", rules.extract),  # after "hash", which it adds to
        )
        for key in sorted(keys)
    }


def _create_functions(engine: Engine, rules: Rules, retention_days: int) -> None:
    treatments = treatments_of(rules)
    # transform() wants at least one key; no attribute has an empty one that any rule names.
    keyed = treatments or {"": 0}
    params: dict[str, Value] = {
        "patterns": sought(rules.patterns) or [_NO_PATTERN],
        "keys": list(keyed),
        "treatments": list(keyed.values()),
        "drops": bool(rules.drop_keys),
        "drop_keys": sorted(rules.drop_keys),
        "status_message": treatments.get("status.message", 0),
        "retention_days": retention_days,
    }
    for path in sorted((FOLDER / "functions").glob("*.sql")):
        sql = path.read_text(encoding="utf-8")
        engine.command(sql, {name: value for name, value in params.items() if f"{{{name}:" in sql})


def _sql(table: str) -> str:
    names = ["metric_points", table] if table in METRIC_TABLES.values() else [table]
    return "".join((FOLDER / f"{name}.sql").read_text(encoding="utf-8") for name in names)


def _settings(table: str) -> str:
    message = _MESSAGES.get(table, "MetricsData")
    settings = {"format_schema": f"'{PROTO}:{message}'", **_SETTINGS}
    return "SETTINGS " + ", ".join(f"{name} = {value}" for name, value in settings.items())
