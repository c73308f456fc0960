"""Raw requests in, one private Native block out: the SQL of `clickhouse/transform`, run by the engine.

The requests of a batch are written to an anonymous memory file as a length-delimited stream, and one
statement for the target table decodes, flattens, hashes and redacts them in C++. Nothing touches a disk
before it is private. Python loops over requests, never over spans or attributes.

A request that the engine refuses fails the whole statement with `Refused`; who called finds it by bisection.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from clickhouse.columns import STRUCTURES
from clickhouse.engine import Engine, EngineError, Value
from clickhouse.varint import varint
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
    # Two statements run at a time: more threads each would only fight.
    "max_threads": "1",
    "max_memory_usage": str(_MEMORY_BYTES),
    # A large batch passes through in parts, so that what it needs on the way does not grow with it.
    "input_format_max_block_size_bytes": str(4 << 20),
    # Mapped, the batch would count as resident memory a second time.
    "storage_file_read_method": "'pread'",
    # Patterns such as an email's have bounded repeats, which Hyperscan deems slow; they are measured.
    "reject_expensive_hyperscan_regexps": "0",
    # Planning is half the cost of a small batch, and these steps change nothing here.
    "query_plan_merge_expressions": "0",
    "compile_expressions": "0",
}
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
    """The engine cannot turn these requests into rows. `too_large` says that they need too much memory."""

    def __init__(self, *, too_large: bool) -> None:
        super().__init__("too large" if too_large else "malformed")
        self.too_large = too_large


@dataclass(frozen=True, slots=True)
class Block:
    """Rows for one table, in ClickHouse's Native format, and what was done to them."""

    table: str
    data: bytes
    tally: Tally


class Transform:
    """The transform under one set of rules."""

    def __init__(
        self, engine: Engine, rules: Rules, scrub: Scrub, hash_key: str, retention_days: int
    ) -> None:
        self._engine = engine
        self._scrub = scrub
        self._hash_key = hash_key
        self._statements = {table: f"{_sql(table)}\n{_settings(table)}" for table in STRUCTURES}
        self._kinds = {table: {"kind": kind} for kind, table in METRIC_TABLES.items()}
        _try_patterns(engine, rules)
        _create_functions(engine, rules, retention_days)
        # The first statement of a table compiles what the later ones reuse, which takes a second or so.
        for table in STRUCTURES:
            self.run(table, [_SAMPLES[table].SerializeToString()])

    def run(self, table: str, requests: Sequence[bytes]) -> Block:
        """Turn serialized Export requests of the table's signal into a block.

        Raises Refused when the engine cannot read them, EngineError when it is not their fault.
        """
        statement = self._scrub.begin()
        try:
            with _memory_file(requests) as path:
                data = self._engine.query(
                    self._statements[table],
                    {
                        "batch": path,
                        "structure": STRUCTURES[table],
                        "hash_key": self._hash_key,
                        "statement": statement,
                        **self._kinds.get(table, {}),
                    },
                )
        except EngineError as error:
            self._scrub.end(statement)
            if error.name in _UNREADABLE or error.name in _TOO_LARGE:
                raise Refused(too_large=error.name in _TOO_LARGE) from None
            raise
        return Block(table, data, self._scrub.end(statement))


def _try_patterns(engine: Engine, rules: Rules) -> None:
    """Raise RulesError for patterns that RE2 takes and Hyperscan, which searches for them, does not."""
    faults = []
    for pattern in rules.patterns:
        try:
            engine.command(
                "SELECT multiMatchAny('a', {patterns:Array(String)}) SETTINGS reject_expensive_hyperscan_regexps = 0",
                {"patterns": [pattern.regex]},
            )
        except EngineError:
            faults.append(
                f"the pattern {pattern.name} is not one that Hyperscan can search for; write it more simply,"
                " without large repeats"
            )
    if faults:
        raise RulesError(faults)


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


@contextmanager
def _memory_file(requests: Sequence[bytes]) -> Iterator[str]:
    """Write the requests, each behind its length, to a file that exists in memory only; give its path."""
    descriptor = os.memfd_create("otlp")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            for request in requests:
                file.write(varint(len(request)))
                file.write(request)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
