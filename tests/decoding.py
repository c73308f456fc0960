"""Requests made of plain Python values, decoded by the reference; and a scrub whose effects are plain to see."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from privacy.rules import Level
from tests.reference import Row, Scrub, rows

TRACE_ID, SPAN_ID = bytes(range(16)), b"\xab\xcd\xef\x01\x02\x03\x04\x05"
TRACE_HEX, SPAN_HEX = "000102030405060708090a0b0c0d0e0f", "abcdef0102030405"
T0 = 1_760_000_000_000_000_001


def value(of: Any) -> AnyValue:  # noqa: PLR0911  a line for each type
    """Make an AnyValue from the Python value of the same meaning."""
    match of:
        case AnyValue():
            return of
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=of)
        case int():
            return AnyValue(int_value=of)
        case float():
            return AnyValue(double_value=of)
        case bytes():
            return AnyValue(bytes_value=of)
        case list():
            return AnyValue(array_value=ArrayValue(values=map(value, of)))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=pairs(of)))
        case _:
            return AnyValue(string_value=of)


def pairs(of: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(item)) for key, item in of.items()]


def trace_rows(*spans: Span, scrub: Scrub | None = None) -> list[Row]:
    scope_spans = ScopeSpans(spans=spans)
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[scope_spans])])
    return rows("traces", [request.SerializeToString()], scrub)["otel_traces"]


def log_rows(*records: LogRecord, scrub: Scrub | None = None) -> list[Row]:
    scope_logs = ScopeLogs(log_records=records)
    request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[scope_logs])])
    return rows("logs", [request.SerializeToString()], scrub)["otel_logs"]


def stored(of: Any, key: str = "k", scrub: Scrub | None = None) -> dict[str, str]:
    """Return the log attributes that one attribute becomes."""
    [row] = log_rows(LogRecord(attributes=pairs({key: of})), scrub=scrub)
    attributes: dict[str, str] = row["LogAttributes"]
    return attributes


@dataclass(frozen=True, slots=True)
class FakeRules:
    drop_keys: frozenset[str] = frozenset({"drop", "all"})
    hash_keys: frozenset[str] = frozenset({"hash", "all"})
    safe_keys: frozenset[str] = frozenset({"safe", "all", "secret.safe"})
    excerpt_keys: frozenset[str] = frozenset({"excerpt"})
    extract: frozenset[str] = frozenset({"call"})
    level: Level = Level.strict


class FakeScrub:
    """Writes *** for "secret", <…> around what it hashes; an excerpt is six characters long."""

    def __init__(self, rules: FakeRules | None = None) -> None:
        self.rules = rules or FakeRules()

    def attribute(self, key: str, text: str, counts: MutableMapping[str, int]) -> str | None:
        if key in self.rules.drop_keys:
            return None
        if key in self.rules.hash_keys:
            return self.hashed(text)
        if key in self.rules.safe_keys:
            return text
        redacted = self.redact(text, counts)
        return self.excerpt(redacted) if key in self.rules.excerpt_keys else redacted

    def redact(self, text: str, counts: MutableMapping[str, int]) -> str:
        counts["secret"] = counts.get("secret", 0) + text.count("secret")
        return text.replace("secret", "***")

    def redact_attribute(self, _: str, text: str, counts: MutableMapping[str, int]) -> str:
        return self.redact(text, counts)

    def hashed(self, text: str) -> str:
        return f"<{text}>" if text else ""

    def hashed_bytes(self, data: bytes) -> str:
        return f"<{data.hex()}>" if data else ""

    def labels(self, key: str, text: str) -> dict[str, str]:
        name, _, argument = text.partition(" ")
        return {f"{key}.name": self.redact(name, {}), f"{key}.argument": self.redact(argument, {})}

    def excerpt(self, text: str) -> str:
        return text[:6]
