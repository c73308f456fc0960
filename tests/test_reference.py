"""Pins the reference decoder to expectations written by hand, and shows what the strategies reach."""

import math
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tests import strategies
from tests.reference import METRIC_TABLES, Row, Scrub, Signal, javascript_number, rows

TRACE_ID, SPAN_ID = bytes(range(16)), b"\xab\xcd\xef\x01\x02\x03\x04\x05"
TRACE_HEX, SPAN_HEX = "000102030405060708090a0b0c0d0e0f", "abcdef0102030405"
T0 = 1_760_000_000_000_000_001
LATEST = 2**63 - 1


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
    """Give the log attributes that one attribute becomes."""
    [row] = log_rows(LogRecord(attributes=pairs({key: of})), scrub=scrub)
    attributes: dict[str, str] = row["LogAttributes"]
    return attributes


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
    """The texts are what `String(x)` gives in a JavaScript engine, in a map and, when finite, inside JSON."""
    in_json = text if math.isfinite(number) else f'"{text}"'
    assert javascript_number(number) == text
    assert stored(number) == {"k": text}
    assert stored([number]) == {"k": f"[{in_json}]"}


@given(st.floats(allow_nan=False))
def test_a_printed_double_reads_back_as_itself(number: float) -> None:
    """No digit is lost, whatever the layout."""
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


POINT = {
    "attributes": pairs({"model": "opus"}),
    "start_time_unix_nano": T0,
    "time_unix_nano": T0 + 60,
    "flags": 1,
}
EXEMPLARS = [
    Exemplar(
        filtered_attributes=pairs({"x": 1}),
        time_unix_nano=T0 + 2,
        as_int=7,
        span_id=SPAN_ID,
        trace_id=TRACE_ID,
    ),
    Exemplar(as_double=0.25),
    Exemplar(),
]
EXPECTED_POINT = {
    "ResourceAttributes": {"service.name": "claude-code"},
    "ResourceSchemaUrl": "resource-schema",
    "ScopeName": "meter",
    "ScopeVersion": "3",
    "ScopeAttributes": {"s": "t"},
    "ScopeDroppedAttrCount": 4,
    "ScopeSchemaUrl": "scope-schema",
    "ServiceName": "claude-code",
    "MetricName": "claude_code.cost.usage",
    "MetricDescription": "Cost",
    "MetricUnit": "USD",
    "Attributes": {"model": "opus"},
    "StartTimeUnix": T0,
    "TimeUnix": T0 + 60,
    "Flags": 1,
}
EXPECTED_EXEMPLARS = {
    "Exemplars.FilteredAttributes": [{"x": "1"}, {}, {}],
    "Exemplars.TimeUnix": [T0 + 2, 0, 0],
    "Exemplars.Value": [7.0, 0.25, 0.0],
    "Exemplars.SpanId": [SPAN_HEX, "", ""],
    "Exemplars.TraceId": [TRACE_HEX, "", ""],
}


def metric_rows(*data: Mapping[str, Any]) -> dict[str, list[Row]]:
    described = {"name": "claude_code.cost.usage", "description": "Cost", "unit": "USD"}
    scope = InstrumentationScope(
        name="meter", version="3", attributes=pairs({"s": "t"}), dropped_attributes_count=4
    )
    scope_metrics = ScopeMetrics(
        scope=scope, metrics=[Metric(**described, **one) for one in data], schema_url="scope-schema"
    )
    resource_metrics = ResourceMetrics(
        resource=Resource(attributes=pairs({"service.name": "claude-code"})),
        scope_metrics=[scope_metrics],
        schema_url="resource-schema",
    )
    request = ExportMetricsServiceRequest(resource_metrics=[resource_metrics])
    return {table: of for table, of in rows("metrics", [request.SerializeToString()], None).items() if of}


def test_a_gauge_in_full() -> None:
    """An integer becomes a float, a value that is not there 0."""
    points = [
        NumberDataPoint(**POINT, as_int=2**53 + 1, exemplars=EXEMPLARS),
        NumberDataPoint(**POINT, as_double=-1.5),
        NumberDataPoint(**POINT),
    ]
    without = {name: [] for name in EXPECTED_EXEMPLARS}
    assert metric_rows({"gauge": Gauge(data_points=points)}) == {
        "otel_metrics_gauge": [
            {**EXPECTED_POINT, **EXPECTED_EXEMPLARS, "Value": 2.0**53},
            {**EXPECTED_POINT, **without, "Value": -1.5},
            {**EXPECTED_POINT, **without, "Value": 0.0},
        ]
    }


def test_a_sum_in_full() -> None:
    """A gauge's columns, and how its values add up."""
    point = NumberDataPoint(**POINT, as_double=0.5, exemplars=EXEMPLARS)
    data = Sum(data_points=[point], aggregation_temporality=1, is_monotonic=True)
    expected = {"Value": 0.5, "AggregationTemporality": 1, "IsMonotonic": True}
    assert metric_rows({"sum": data}) == {
        "otel_metrics_sum": [{**EXPECTED_POINT, **EXPECTED_EXEMPLARS, **expected}]
    }


def test_a_summary_in_full() -> None:
    """Quantiles become two arrays of one length."""
    quantiles = [SummaryDataPoint.ValueAtQuantile(quantile=q, value=v) for q, v in ((0.5, 3.0), (1, 9.5))]
    point = SummaryDataPoint(**POINT, count=2**64 - 1, sum=12.5, quantile_values=quantiles)
    expected = {
        "Count": 2**64 - 1,
        "Sum": 12.5,
        "ValueAtQuantiles.Quantile": [0.5, 1.0],
        "ValueAtQuantiles.Value": [3.0, 9.5],
    }
    assert metric_rows({"summary": Summary(data_points=[point])}) == {
        "otel_metrics_summary": [{**EXPECTED_POINT, **expected}]
    }


def test_a_histogram_in_full() -> None:
    """Every column, with and without the optional sum, minimum and maximum."""
    full = HistogramDataPoint(
        **POINT,
        count=6,
        sum=21.5,
        bucket_counts=[1, 2, 3],
        explicit_bounds=[0.5, 10],
        exemplars=EXEMPLARS,
        min=0.25,
        max=12,
    )
    data = Histogram(data_points=[full, HistogramDataPoint(**POINT)], aggregation_temporality=2)
    shared = {**EXPECTED_POINT, "AggregationTemporality": 2}
    assert metric_rows({"histogram": data}) == {
        "otel_metrics_histogram": [
            {
                **shared,
                **EXPECTED_EXEMPLARS,
                "Count": 6,
                "Sum": 21.5,
                "BucketCounts": [1, 2, 3],
                "ExplicitBounds": [0.5, 10.0],
                "Min": 0.25,
                "Max": 12.0,
            },
            {
                **shared,
                **{name: [] for name in EXPECTED_EXEMPLARS},
                "Count": 0,
                "Sum": 0.0,
                "BucketCounts": [],
                "ExplicitBounds": [],
                "Min": 0.0,
                "Max": 0.0,
            },
        ]
    }


def test_an_exponential_histogram_in_full() -> None:
    """Every column; buckets that are not there are empty at offset 0."""
    point = ExponentialHistogramDataPoint(
        **POINT,
        count=9,
        sum=4.5,
        scale=-2,
        zero_count=3,
        positive=ExponentialHistogramDataPoint.Buckets(offset=-5, bucket_counts=[1, 0, 5]),
        exemplars=EXEMPLARS,
        min=-1,
        max=2,
    )
    expected = {
        "Count": 9,
        "Sum": 4.5,
        "Scale": -2,
        "ZeroCount": 3,
        "PositiveOffset": -5,
        "PositiveBucketCounts": [1, 0, 5],
        "NegativeOffset": 0,
        "NegativeBucketCounts": [],
        "Min": -1.0,
        "Max": 2.0,
        "AggregationTemporality": 7,
    }
    data = ExponentialHistogram(data_points=[point], aggregation_temporality=7)
    assert metric_rows({"exponential_histogram": data}) == {
        "otel_metrics_exp_histogram": [{**EXPECTED_POINT, **EXPECTED_EXEMPLARS, **expected}]
    }


def test_a_metric_without_data_gives_no_row() -> None:
    """Its neighbours give theirs."""
    gauge = Gauge(data_points=[NumberDataPoint(as_int=1)])
    assert metric_rows({}) == {}
    assert {table: len(of) for table, of in metric_rows({}, {"gauge": gauge}, {"sum": Sum()}).items()} == {
        "otel_metrics_gauge": 1
    }


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


@dataclass(frozen=True, slots=True)
class FakeRules:
    drop_keys: frozenset[str] = frozenset({"drop", "all"})
    hash_keys: frozenset[str] = frozenset({"hash", "all"})
    safe_keys: frozenset[str] = frozenset({"safe", "all", "secret.safe"})
    excerpt_keys: frozenset[str] = frozenset({"excerpt"})
    extract: frozenset[str] = frozenset({"call"})


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

    def hashed(self, text: str) -> str:
        return f"<{text}>"

    def labels(self, key: str, text: str, counts: MutableMapping[str, int]) -> dict[str, str]:
        name, _, argument = text.partition(" ")
        return {f"{key}.name": self.redact(name, counts), f"{key}.argument": self.redact(argument, counts)}

    def excerpt(self, text: str) -> str:
        return text[:6]


@pytest.mark.parametrize(
    ("key", "of", "expected"),
    [
        ("k", "a secret", {"k": "a ***"}),
        ("the secret", "", {"the ***": ""}),
        ("k", 5, {"k": "5"}),
        ("k", b"secret", {"k": "c2VjcmV0"}),
        ("k", None, {"k": ""}),
        ("drop", "secret", {}),
        ("drop", 1, {}),
        ("all", "secret", {}),
        ("hash", "secret", {"hash": "<secret>"}),
        ("hash", "", {"hash": ""}),
        ("hash", None, {"hash": ""}),
        ("hash", 5.0, {"hash": "<5>"}),
        ("hash", False, {"hash": "<false>"}),
        ("hash", {"drop": "secret", "a": [None]}, {"hash": '<{"a":[null],"drop":"secret"}>'}),
        ("safe", "secret", {"safe": "secret"}),
        ("secret.safe", "secret", {"secret.safe": "secret"}),
        ("safe", {"drop": "secret", "secret": ["secret"]}, {"safe": '{"drop":"secret","secret":["secret"]}'}),
        ("excerpt", "a secret text", {"excerpt": "a *** "}),
        ("excerpt", ["a secret text", 1], {"excerpt": '["a *** ",1]'}),
        ("k", ["a secret", ["secret"], b"secret", 1.5, None], {"k": '["a ***",["***"],"c2VjcmV0",1.5,null]'}),
    ],
)
def test_an_attribute_is_scrubbed_by_its_key(key: str, of: Any, expected: dict[str, str]) -> None:
    """Dropped, hashed, safe, an excerpt, or redacted; a key in no set is redacted itself."""
    assert stored(of, key, FakeScrub()) == expected


def test_nested_pairs_are_scrubbed_by_their_own_keys() -> None:
    """The rules hold at every depth; the strings of an array take the rule of the pair it stands in."""
    nested = {
        "drop": "secret",
        "hash": ["secret", 1],
        "safe": {"drop": "secret"},
        "excerpt": ["a secret text", ["another secret"], {"k": "a secret text"}],
        "the secret": {"hash": None, "excerpt": "a secret text"},
        "k": ["secret", {"hash": 1.0, "drop": 1}, b"secret"],
    }
    text = (
        '{"excerpt":["a *** ",["anothe"],{"k":"a *** text"}],"hash":"<[\\"secret\\",1]>",'
        '"k":["***",{"hash":"<1>"},"c2VjcmV0"],"safe":{"drop":"secret"},'
        '"the ***":{"excerpt":"a *** ","hash":""}}'
    )
    assert stored(nested, scrub=FakeScrub()) == {"k": text}
    [row] = log_rows(LogRecord(body=value(nested)), scrub=FakeScrub())
    assert row["Body"] == text


def test_labels_are_added_to_span_and_log_attributes_only() -> None:
    """They come from string values alone, and give way to an attribute that was sent under the same name."""
    sent = pairs({"call": "git secret", "call.argument": "sent"})
    expected = {"call": "git ***", "call.argument": "sent", "call.name": "git"}
    [row] = log_rows(LogRecord(attributes=sent), scrub=FakeScrub())
    assert row["LogAttributes"] == expected
    assert list(row["LogAttributes"]) == sorted(expected)
    [row] = trace_rows(Span(attributes=sent, events=[Span.Event(attributes=sent)]), scrub=FakeScrub())
    assert row["SpanAttributes"] == expected
    assert row["Events.Attributes"] == [{"call": "git ***", "call.argument": "sent"}]
    assert stored(["git"], "call", FakeScrub()) == {"call": '["git"]'}
    assert stored("git", "call") == {"call": "git"}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (FakeRules(), "a *** text"),
        (FakeRules(excerpt_keys=frozenset({"status.message"})), "a *** "),
        (FakeRules(hash_keys=frozenset({"status.message"})), "<a secret text>"),
        (FakeRules(drop_keys=frozenset({"status.message"})), ""),
        (FakeRules(safe_keys=frozenset({"status.message"})), "a secret text"),
    ],
)
def test_a_status_message_follows_the_rule_for_its_key(rules: FakeRules, message: str) -> None:
    """The key is `status.message`; an empty message is empty under every rule."""
    spans = [Span(status=Status(message=text)) for text in ("a secret text", "")]
    decoded = trace_rows(*spans, scrub=FakeScrub(rules))
    assert [row["StatusMessage"] for row in decoded] == [message, ""]


def test_no_string_outside_an_attribute_keeps_a_secret() -> None:
    """Every string field of every message is redacted; the secret is put into all of them."""

    def spoil(message: Message) -> Any:
        for field in message.DESCRIPTOR.fields:
            if field.type == field.TYPE_STRING:
                setattr(message, field.name, "a secret")
        return message

    def text(row: Row) -> str:
        return repr({name: of for name, of in row.items() if "secret" in repr(of)})

    scrub, scope = FakeScrub(), spoil(InstrumentationScope())
    span = spoil(Span(events=[spoil(Span.Event())], links=[spoil(Span.Link())], status=spoil(Status())))
    record = spoil(LogRecord(body=value("secret")))
    metric = spoil(Metric(gauge=Gauge(data_points=[NumberDataPoint()])))
    everything: dict[Signal, Message] = {
        "traces": ExportTraceServiceRequest(
            resource_spans=[
                spoil(ResourceSpans(scope_spans=[spoil(ScopeSpans(scope=scope, spans=[span]))])),
            ]
        ),
        "logs": ExportLogsServiceRequest(
            resource_logs=[
                spoil(ResourceLogs(scope_logs=[spoil(ScopeLogs(scope=scope, log_records=[record]))])),
            ]
        ),
        "metrics": ExportMetricsServiceRequest(
            resource_metrics=[
                spoil(ResourceMetrics(scope_metrics=[spoil(ScopeMetrics(scope=scope, metrics=[metric]))])),
            ]
        ),
    }
    for signal, request in everything.items():
        decoded = rows(signal, [request.SerializeToString()], scrub)
        assert [text(row) for of in decoded.values() for row in of] == ["{}"]


def sampled(strategy: st.SearchStrategy[Any], size: int) -> list[Any]:
    """Draw the same examples every time."""
    drawn: list[Any] = []

    @seed(20)
    @settings(
        max_examples=size,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: Any) -> None:
        drawn.append(example)

    collect()
    return drawn


def parts(message: Message) -> Iterator[Any]:
    """Give a message and every message inside it."""
    yield message
    for field, of in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for part in of if field.is_repeated else [of]:
                yield from parts(part)


def test_the_strategies_reach_every_type_of_value() -> None:
    """Absent included, alone and inside arrays and key-value lists."""
    drawn = sampled(strategies.any_values(), 400)
    found = [part for of in drawn for part in parts(of)]
    types = {None, *(member.name for member in AnyValue.DESCRIPTOR.oneofs[0].fields)}
    types -= {"string_value_strindex"}  # of the profiles signal only
    in_arrays = [of for array in found if isinstance(array, ArrayValue) for of in array.values]
    in_lists = [pair.value for pair in found if isinstance(pair, KeyValue)]
    assert types == {of.WhichOneof("value") for of in drawn}
    assert types == {of.WhichOneof("value") for of in in_arrays}
    assert types == {of.WhichOneof("value") for of in in_lists}


def test_the_strategies_reach_odd_scalars_and_known_keys() -> None:
    """Extremes, numbers that are none, characters that need care, and the keys that have rules."""
    doubles = {javascript_number(number) for number in sampled(strategies.doubles, 400)}
    assert {"0", "NaN", "Infinity", "-Infinity", "5e-324", "1e+21", "1e-7"} <= doubles
    assert {0, 2**63 - 1, -(2**63)} <= set(sampled(strategies.ints, 400))
    assert set('\x00\n"\\😀@') <= set("".join(sampled(strategies.texts, 400)))
    assert set(strategies.KNOWN_KEYS) <= set(sampled(strategies.keys, 400))


REQUESTS: dict[Signal, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
REACHED: list[tuple[Signal, type[Message], Callable[[Any], bool]]] = [
    ("traces", ExportTraceServiceRequest, lambda of: not of.resource_spans),
    ("traces", ResourceSpans, lambda of: bool(not of.HasField("resource") and of.scope_spans)),
    ("traces", ResourceSpans, lambda of: len(of.scope_spans) > 1),
    ("traces", ScopeSpans, lambda of: bool(not of.HasField("scope") and of.spans)),
    ("traces", ScopeSpans, lambda of: not of.spans),
    ("traces", Span, lambda of: not of.HasField("status")),
    ("traces", Span, lambda of: of.kind == 9),
    ("traces", Status, lambda of: of.code == 7),
    ("traces", Span, lambda of: 0 < of.end_time_unix_nano < of.start_time_unix_nano),
    ("traces", Span, lambda of: of.start_time_unix_nano >= 2**63),
    ("traces", Span, lambda of: of.trace_id == bytes(16)),
    ("traces", Span, lambda of: not of.trace_id),
    ("traces", Span, lambda of: any(of.trace_id) and any(of.span_id)),
    ("traces", Span, lambda of: bool(of.events and of.links)),
    ("traces", Span.Event, lambda of: bool(of.attributes)),
    ("traces", Span.Link, lambda of: bool(of.attributes)),
    ("logs", LogRecord, lambda of: of.severity_number == 300),
    ("logs", LogRecord, lambda of: of.severity_number == -1),
    ("logs", LogRecord, lambda of: of.time_unix_nano == 0 < of.observed_time_unix_nano),
    ("logs", LogRecord, lambda of: of.flags > 255),
    ("metrics", Metric, lambda of: of.WhichOneof("data") is None),
    ("metrics", NumberDataPoint, lambda of: of.WhichOneof("value") is None),
    ("metrics", NumberDataPoint, lambda of: of.WhichOneof("value") == "as_int"),
    ("metrics", NumberDataPoint, lambda of: of.WhichOneof("value") == "as_double"),
    ("metrics", Sum, lambda of: of.is_monotonic),
    ("metrics", Sum, lambda of: of.aggregation_temporality not in {0, 1, 2}),
    ("metrics", HistogramDataPoint, lambda of: len(of.bucket_counts) == len(of.explicit_bounds) + 1 > 17),
    ("metrics", HistogramDataPoint, lambda of: not of.HasField("sum")),
    ("metrics", ExponentialHistogramDataPoint, lambda of: len(of.positive.bucket_counts) > 16),
    ("metrics", ExponentialHistogramDataPoint, lambda of: not of.HasField("negative")),
    ("metrics", SummaryDataPoint, lambda of: len(of.quantile_values) > 1),
    ("metrics", ExponentialHistogramDataPoint, lambda of: of.scale < 0),
    ("metrics", Exemplar, lambda of: bool(of.filtered_attributes)),
]


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
def test_the_strategies_reach_every_table_and_corner(signal: Signal) -> None:
    """All requests decode, every table gets rows, attribute keys are unique, and each named case occurs."""
    request_class: Any = REQUESTS[signal]
    batches = sampled(strategies.requests(signal), 250)
    drawn = [request_class.FromString(request) for batch in batches for request in batch]
    found = [part for request in drawn for part in parts(request)]
    missing = [
        (kind.DESCRIPTOR.name, index)
        for index, (of, kind, wanted) in enumerate(REACHED)
        if of == signal and not any(isinstance(part, kind) and wanted(part) for part in found)
    ]
    assert missing == []
    for part in found:
        keys = [pair.key for pair in getattr(part, "attributes", ())]
        assert len(keys) == len(set(keys))
    requests = [request for batch in batches for request in batch]
    plain = rows(signal, requests, None)
    private = rows(signal, requests, FakeScrub())
    assert all(plain.values())
    assert {table: len(of) for table, of in plain.items()} == {t: len(of) for t, of in private.items()}
