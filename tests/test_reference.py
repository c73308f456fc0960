"""The reference decoder, compared with expectations written by hand: values, spans, log records, times, order."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tests.decoding import (
    SPAN_HEX,
    SPAN_ID,
    T0,
    TRACE_HEX,
    TRACE_ID,
    FakeScrub,
    log_rows,
    pairs,
    stored,
    trace_rows,
    value,
)
from tests.reference import METRIC_TABLES, javascript_number, rows

LATEST = 2**63 - 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (5.0, "5"),
        (-5.0, "-5"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1 / 3, "0.3333333333333333"),
        (-12.5, "-12.5"),
        (100.0, "100"),
        (123456.789, "123456.789"),
        (2.0**53, "9007199254740992"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (-1.5e21, "-1.5e+21"),
        (1.2345e100, "1.2345e+100"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (0.001, "0.001"),
        (1e-6, "0.000001"),
        (1.5e-6, "0.0000015"),
        (1e-7, "1e-7"),
        (-1.25e-7, "-1.25e-7"),
        (2.2250738585072014e-308, "2.2250738585072014e-308"),
        (5e-324, "5e-324"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
    ],
)
def test_a_double_is_printed_as_javascript_prints_it(number: float, text: str) -> None:
    """The texts are those of `String(x)` in a JavaScript engine, in a map and, when finite, inside JSON."""
    in_json = text if math.isfinite(number) else f'"{text}"'
    assert javascript_number(number) == text
    assert stored(number) == {"k": text}
    assert stored([number]) == {"k": f"[{in_json}]"}


@given(st.floats(allow_nan=False))
def test_a_printed_double_reads_back_as_itself(number: float) -> None:
    """No digit is lost, in any layout."""
    assert float(javascript_number(number)) == number


@pytest.mark.parametrize(
    ("of", "text"),
    [
        (None, ""),
        ("", ""),
        ('say "hi"\n', 'say "hi"\n'),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (b"", ""),
        (b"\x00\xff\xfe", "AP/+"),
        ([], "[]"),
        ({}, "{}"),
        ([None, "", True, 0, 2**63 - 1, 2.0, b"\xff"], '[null,"",true,0,9223372036854775807,2,"/w=="]'),
        ([math.nan, math.inf, -math.inf, -0.0, 1e21], '["NaN","Infinity","-Infinity",0,1e+21]'),
        ({"b": [1, {"y": None, "x": []}], "a": {}, "": 0, "B": 2},
         '{"":0,"B":2,"a":{},"b":[1,{"x":[],"y":null}]}'),
        ({"é": 1, "z": 2, "😀": 3, "\uffff": 4}, '{"z":2,"é":1,"\uffff":4,"😀":3}'),
        (["naïve 東京 😀 \U0010ffff", "</script>&'/"],
         '["naïve 東京 😀 \U0010ffff","</script>&\'/"]'),
        (['"\\', "\b\f\n\r\t", "\x00\x01\x0b\x1f", "\x7f\u2028"],
         '["\\"\\\\","\\b\\f\\n\\r\\t","\\u0000\\u0001\\u000b\\u001f","\x7f\u2028"]'),
        ({'q"\n': 1}, '{"q\\"\\n":1}'),
    ],
)  # fmt: skip
def test_a_value_is_rendered_by_the_rules_of_the_tables(of: Any, text: str) -> None:
    """Scalars as plain text, nested ones as compact JSON with sorted keys; as an attribute and as a body."""
    assert stored(of) == {"k": text}
    [row] = log_rows(LogRecord(body=value(of)))
    assert row["Body"] == text


def test_the_last_of_several_equal_keys_wins() -> None:
    """A list of key-value pairs that repeats a key keeps its last value."""
    repeated = [KeyValue(key="a", value=value(1)), KeyValue(key="b"), KeyValue(key="a", value=value(2))]
    nested = AnyValue(kvlist_value=KeyValueList(values=repeated))
    assert stored(nested) == {"k": '{"a":2,"b":null}'}
    [row] = log_rows(LogRecord(attributes=repeated))
    assert row["LogAttributes"] == {"a": "2", "b": ""}


def test_map_keys_stand_in_bytewise_order() -> None:
    """The order is that of the UTF-8 bytes, not that of UTF-16 or of any language."""
    [row] = log_rows(
        LogRecord(attributes=pairs(dict.fromkeys(["😀", "\uffff", "b", "a.b", "a", "B", ""], 1)))
    )
    assert list(row["LogAttributes"]) == ["", "B", "a", "a.b", "b", "\uffff", "😀"]


def test_a_span_in_full() -> None:
    """Every column of otel_traces, with two events and two links."""
    span = Span(
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        parent_span_id=bytes(8),
        trace_state="a=1,b=2",
        name="claude_code.tool",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=T0,
        end_time_unix_nano=T0 + 1_500,
        attributes=pairs({"tool": "Bash", "ok": True, "n": 3}),
        events=[
            Span.Event(time_unix_nano=T0 + 1, name="start", attributes=pairs({"e": 1.5})),
            Span.Event(),
        ],
        links=[
            Span.Link(
                trace_id=TRACE_ID, span_id=SPAN_ID, trace_state="c=3", attributes=pairs({"l": b"\x01"})
            ),
            Span.Link(trace_id=bytes(16), span_id=b""),
        ],
        status=Status(code=Status.STATUS_CODE_ERROR, message="boom"),
    )
    scope_spans = ScopeSpans(scope=InstrumentationScope(name="tracer", version="2"), spans=[span])
    resource = Resource(attributes=pairs({"service.name": "claude-code", "os": ["a"]}))
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope_spans])]
    )
    expected = {
        "Timestamp": T0,
        "TraceId": TRACE_HEX,
        "SpanId": SPAN_HEX,
        "ParentSpanId": "",
        "TraceState": "a=1,b=2",
        "SpanName": "claude_code.tool",
        "SpanKind": "Client",
        "ServiceName": "claude-code",
        "ResourceAttributes": {"os": '["a"]', "service.name": "claude-code"},
        "ScopeName": "tracer",
        "ScopeVersion": "2",
        "SpanAttributes": {"n": "3", "ok": "true", "tool": "Bash"},
        "Duration": 1_500,
        "StatusCode": "Error",
        "StatusMessage": "boom",
        "Events.Timestamp": [T0 + 1, 0],
        "Events.Name": ["start", ""],
        "Events.Attributes": [{"e": "1.5"}, {}],
        "Links.TraceId": [TRACE_HEX, ""],
        "Links.SpanId": [SPAN_HEX, ""],
        "Links.TraceState": ["c=3", ""],
        "Links.Attributes": [{"l": "AQ=="}, {}],
    }
    assert rows("traces", [request.SerializeToString()], None) == {"otel_traces": [expected]}


def test_a_log_record_in_full() -> None:
    """Every column of otel_logs."""
    record = LogRecord(
        time_unix_nano=T0,
        observed_time_unix_nano=T0 + 9,
        severity_number=9,
        severity_text="INFO",
        body=value("claude_code.user_prompt"),
        attributes=pairs({"prompt_length": 12}),
        flags=0x101,
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        event_name="user_prompt",
    )
    scope = InstrumentationScope(name="events", version="1.0", attributes=pairs({"s": "t"}))
    scope_logs = ScopeLogs(scope=scope, log_records=[record], schema_url="scope-schema")
    resource_logs = ResourceLogs(
        resource=Resource(attributes=pairs({"service.name": "claude-code"})),
        scope_logs=[scope_logs],
        schema_url="resource-schema",
    )
    expected = {
        "Timestamp": T0,
        "TraceId": TRACE_HEX,
        "SpanId": SPAN_HEX,
        "TraceFlags": 1,
        "SeverityText": "INFO",
        "SeverityNumber": 9,
        "ServiceName": "claude-code",
        "Body": "claude_code.user_prompt",
        "ResourceSchemaUrl": "resource-schema",
        "ResourceAttributes": {"service.name": "claude-code"},
        "ScopeSchemaUrl": "scope-schema",
        "ScopeName": "events",
        "ScopeVersion": "1.0",
        "ScopeAttributes": {"s": "t"},
        "LogAttributes": {"prompt_length": "12"},
        "EventName": "user_prompt",
    }
    request = ExportLogsServiceRequest(resource_logs=[resource_logs])
    assert rows("logs", [request.SerializeToString()], None) == {"otel_logs": [expected]}


def test_an_empty_request_gives_every_table_and_no_row() -> None:
    """A caller finds the tables of the signal whether or not they have rows."""
    assert rows("traces", [b""], None) == {"otel_traces": []}
    assert rows("logs", [], None) == {"otel_logs": []}
    assert rows("metrics", [b"", b""], None) == {table: [] for table in METRIC_TABLES.values()}


def test_rows_stand_in_order_of_appearance() -> None:
    """Request, then resource, then scope, then record."""

    def request(*names: str) -> bytes:
        resource_spans = [
            ResourceSpans(scope_spans=[ScopeSpans(spans=[Span(name=f"{name}{i}") for i in "12"])])
            for name in names
        ]
        return ExportTraceServiceRequest(resource_spans=resource_spans).SerializeToString()

    decoded = rows("traces", [request("b", "a"), b"", request("c")], None)["otel_traces"]
    assert [row["SpanName"] for row in decoded] == ["b1", "b2", "a1", "a2", "c1", "c2"]


@pytest.mark.parametrize(
    ("start", "end", "timestamp", "duration"),
    [
        (5, 7, 5, 2),
        (7, 5, 7, 0),
        (0, 0, 0, 0),
        (2**63 - 1, 2**63 - 1, LATEST, 0),
        (2**63, 2**63 + 5, LATEST, 5),
        (0, 2**64 - 1, 0, 2**64 - 1),
    ],
)
def test_times_are_clamped_and_durations_never_wrap(
    start: int, end: int, timestamp: int, duration: int
) -> None:
    """A duration is that of the times as sent; a time is at most 2**63 - 1."""
    [row] = trace_rows(Span(start_time_unix_nano=start, end_time_unix_nano=end))
    assert (row["Timestamp"], row["Duration"]) == (timestamp, duration)


@pytest.mark.parametrize(
    ("time", "observed", "timestamp"), [(3, 4, 3), (0, 4, 4), (0, 0, 0), (0, 2**64 - 1, LATEST)]
)
def test_a_log_without_a_time_has_its_observed_time(time: int, observed: int, timestamp: int) -> None:
    """TABLES: a log's Timestamp 0 falls back."""
    [row] = log_rows(LogRecord(time_unix_nano=time, observed_time_unix_nano=observed))
    assert row["Timestamp"] == timestamp


@pytest.mark.parametrize(("sent", "kept"), [(0, 0), (9, 9), (255, 255), (256, 255), (300, 255), (-1, 0)])
def test_a_severity_number_is_clamped_and_makes_no_text(sent: int, kept: int) -> None:
    """SeverityText is only what was sent."""
    [row] = log_rows(LogRecord(severity_number=sent, flags=0xFFFF_FF02))
    assert (row["SeverityNumber"], row["SeverityText"], row["TraceFlags"]) == (kept, "", 2)


def test_enum_numbers_have_the_names_of_the_tables() -> None:
    """A number that this version of the protocol does not know counts as not set."""
    kinds = [row["SpanKind"] for row in trace_rows(*(Span(kind=kind) for kind in (0, 1, 2, 3, 4, 5, 9, -1)))]
    codes = [
        row["StatusCode"] for row in trace_rows(*(Span(status=Status(code=c)) for c in (0, 1, 2, 7, -1)))
    ]
    assert kinds == [
        "Unspecified", "Internal", "Server", "Client", "Producer", "Consumer", "Unspecified", "Unspecified",
    ]  # fmt: skip
    assert codes == ["Unset", "Ok", "Error", "Unset", "Unset"]


def test_a_service_name_is_its_resource_attribute_as_stored() -> None:
    """Text whatever its type was; "" where a resource or the attribute is missing."""

    def names(resource: Resource | None) -> str:
        resource_logs = ResourceLogs(resource=resource, scope_logs=[ScopeLogs(log_records=[LogRecord()])])
        request = ExportLogsServiceRequest(resource_logs=[resource_logs])
        [row] = rows("logs", [request.SerializeToString()], FakeScrub())["otel_logs"]
        assert row["ResourceAttributes"].get("service.name", "") == row["ServiceName"]
        return str(row["ServiceName"])

    assert names(None) == names(Resource()) == ""
    assert names(Resource(attributes=pairs({"service.name": 1.0}))) == "1"
    assert names(Resource(attributes=pairs({"service.name": "a secret"}))) == "a ***"
