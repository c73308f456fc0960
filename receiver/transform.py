"""Raw requests in, one private Native block out: the SQL of `clickhouse/transform`, run by the engine.

The requests of a batch go through a pipe to the statement for the target table, which decodes, flattens,
hashes and redacts them in C++. It was planned when it was opened, and reads on (`clickhouse.stream`). Nothing
touches a disk before it is private. Python loops over requests, never over spans or attributes.

A request that the engine refuses fails its whole batch with `Refused`; who called finds it by bisection.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from clickhouse.columns import STRUCTURES
from clickhouse.engine import Engine, EngineError, Value
from clickhouse.pieces import Pieces
from clickhouse.stream import Stream, StreamEndedError
from receiver.rules import Rules, RulesError
from receiver.scrub import Scrub, Tally
from receiver.signals import KINDS, METRIC_TABLES, Signal

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
    # Makes the opening of a statement twice as long.
    "compile_expressions": "0",
}
# A large batch passes through in parts: what it needs on the way stays small, and in the processor's cache.
_GROUP_BYTES = 4 << 20
# What Claude Code sends; the first request for another table waits a moment for its statement.
_OPENED_AT_START = ("otel_traces", "otel_logs", "otel_metrics_sum")
# After so long a statement is planned anew, which costs next to nothing then: it knows the day that it began on.
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
    """Rows for one table, in ClickHouse's Native format, and what was done to them."""

    table: str
    data: Pieces
    tally: Tally


class Transform:
    """The transform under one set of rules."""

    def __init__(
        self, engine: Engine, rules: Rules, scrub: Scrub, hash_key: str, retention_days: int
    ) -> None:
        self._engine = engine
        self._scrub = scrub
        self._hash_key = _hmac_keys(hash_key)
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
            blocks = [_block(opened.stream, group) for group in _groups(requests)]
        except Exception as error:
            # What it would give next is not known to belong to the next message.
            self._engine.drop(opened.stream)
            self._scrub.end(opened.statement)
            if _is_refusal(error):
                raise Refused(too_large=isinstance(error, EngineError) and error.name in _TOO_LARGE) from None
            raise
        tally = self._scrub.take(opened.statement)
        self._idle[table].append(opened)
        if tally.malformed:
            raise Refused(too_large=False)
        return Block(table, Pieces.joined(blocks), tally)

    def _take(self, table: str) -> "_Open":
        """Take a stream that nobody uses, or open one."""
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


def _hmac_keys(key: str) -> str:
    """Give the inner and the outer key of HMAC-SHA256 in hex, nothing for no key.

    Source: https://www.rfc-editor.org/rfc/rfc2104
    """
    if not key:
        return ""
    data = key.encode()
    block = (hashlib.sha256(data).digest() if len(data) > _HMAC_BLOCK else data).ljust(_HMAC_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in block).hex() + bytes(byte ^ 0x5C for byte in block).hex()


def _groups(requests: Sequence[Surveyed]) -> Iterator[list[Surveyed]]:
    """Give requests that are one message together: encoded messages joined are one with the lists joined.

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


def _block(stream: Stream, group: Sequence[Surveyed]) -> Pieces:
    block = stream.pass_through([request.body for request in group])
    if _rows(block) != sum(request.rows for request in group):
        # Where the engine and the survey differ, as in a oneof that is sent twice, only an encoding that says
        # everything once is certain: the request is refused, and written anew by who called.
        raise StreamEndedError
    return block


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, EngineError):
        return error.name in _UNREADABLE or error.name in _TOO_LARGE
    return isinstance(error, StreamEndedError)


def _rows(block: Pieces) -> int:
    """Read the number of rows that a block in Native format begins with, after that of columns."""
    number = shift = 0
    first = next(iter(block), memoryview(b""))
    for byte in first[1:11]:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:  # noqa: PLR2004  the last byte of a varint
            break
    return number


def _try_patterns(engine: Engine, rules: Rules) -> None:
    """Raise RulesError for patterns that RE2 takes and Hyperscan, which searches for them, does not."""
    # All at once first: that is what the statements compile too, and nearly always all is well.
    if not rules.patterns or _can_search(engine, [pattern.regex for pattern in rules.patterns]):
        return
    raise RulesError(
        [
            f"the pattern {pattern.name} is not one that Hyperscan can search for; write it more simply,"
            " without large repeats"
            for pattern in rules.patterns
            if not _can_search(engine, [pattern.regex])
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


def _create_functions(engine: Engine, rules: Rules, retention_days: int) -> None:
    treatments = {
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
    # transform() wants at least one key; no attribute has an empty one that any rule names.
    keyed = treatments or {"": 0}
    params: dict[str, Value] = {
        "patterns": [pattern.regex for pattern in rules.patterns] or [_NO_PATTERN],
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
