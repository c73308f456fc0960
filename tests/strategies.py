"""Hypothesis strategies for arbitrary OTLP export requests.

They cover what a client may send: every type of value, absent and empty parts at every level, enum numbers of
a later version of the protocol, times that no clock shows. Attribute keys are unique in their list, as OTLP
demands; key-value lists inside a value may repeat a key, because a receiver cannot rely on them not to.
Malformed bytes are not made here.
"""

from itertools import cycle, islice
from typing import Any

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

from tests.reference import Signal

Fields = dict[str, st.SearchStrategy[Any]]

KNOWN_KEYS = (
    "session.id",
    "prompt",
    "tool_parameters",
    "user.email",
    "error",
    "tool_input",
    "service.name",
    "file_path",
    "cost_usd",
    "status.message",
    "asked by carol@example.com",
)
ODD_TEXTS = (
    "",
    " ",
    'say "hi" \\ back\\\\',
    "line\nfeed\r\n\ttab\b\f",
    "\x00",
    "nul\x00inside",
    "\x01\x0b\x1f\x7f\x80",
    "</script>&<!--/",
    "\u2028\u2029\ufeff\uffff",
    "naïve 東京 😀 \U0010ffff",
    "null",
    "true",
    "0",
    "[]",
    "x" * 2000,
    "😀" * 300,
)
PRIVATE_TEXTS = (
    "bob@example.com",
    "mail bob.o'hara+x@mail.example.co.uk, then carol@example.com",
    "from 10.1.2.3 to 2001:db8::ff00:42:8329",
    "key sk-ant-api03-" + "aB3_" * 12,
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "Authorization: Bearer abcdefghijklmnopqrstuvwxyz.0123456789",
    "password=hunter2hunter2",
    "/home/bob/project/main.py",
    '{"command":"curl -u bob:pw https://example.com/?q=1","description":"Fetch \\"it\\""}',
    '{"bash_command":"git","full_command":"git push\\nls","timeout":120000}',
    '{"file_path":"/home/bob/notes.md","content":"call bob@example.com"}',
    '{"mcp_server_name":"github","mcp_tool_name":"search","skill_name":"review","nested":{"a":[1,null]}}',
    '{"command":',
    '["command"]',
    "<REDACTED>",
)
INTS = (0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63))
DOUBLES = (
    0.0,
    -0.0,
    5.0,
    0.1,
    -2.5,
    1e-6,
    1e-7,
    123456789.125,
    1e20,
    1e21,
    -1.5e300,
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    float("nan"),
    float("inf"),
    float("-inf"),
)
TIMES = (0, 1, 999_999_999, 1_760_000_000_123_456_789, 2**63 - 1, 2**63, 2**64 - 1)
REALISTIC_TIMES = st.integers(1_760_000_000_000_000_000, 1_760_000_100_000_000_000)
ints = st.sampled_from(INTS) | st.integers(-(2**63), 2**63 - 1)
doubles = st.sampled_from(DOUBLES) | st.floats()
texts = st.sampled_from(ODD_TEXTS) | st.sampled_from(PRIVATE_TEXTS) | st.text(max_size=12)
keys = st.sampled_from(KNOWN_KEYS) | st.text(max_size=6)
times = st.sampled_from(TIMES) | REALISTIC_TIMES | st.integers(0, 2**64 - 1)
uint32s = st.sampled_from((0, 1, 255, 256, 257, 2**32 - 1)) | st.integers(0, 2**32 - 1)
uint64s = st.sampled_from((0, 1, 2**32, 2**63, 2**64 - 1)) | st.integers(0, 2**64 - 1)
int32s = st.sampled_from((0, 1, -1, 2**31 - 1, -(2**31))) | st.integers(-(2**31), 2**31 - 1)
trace_ids = st.binary(min_size=16, max_size=16) | st.sampled_from((bytes(16), b""))
span_ids = st.binary(min_size=8, max_size=8) | st.sampled_from((bytes(8), b""))
temporalities = st.sampled_from((0, 1, 2, 7, -1))


def traces() -> st.SearchStrategy[ExportTraceServiceRequest]:
    event = message(
        Span.Event,
        time_unix_nano=times,
        name=texts,
        attributes=attributes(),
        dropped_attributes_count=uint32s,
    )
    link = message(
        Span.Link,
        trace_id=trace_ids,
        span_id=span_ids,
        trace_state=texts,
        attributes=attributes(),
        dropped_attributes_count=uint32s,
        flags=uint32s,
    )
    span = message(
        Span,
        trace_id=trace_ids,
        span_id=span_ids,
        trace_state=texts,
        parent_span_id=span_ids,
        flags=uint32s,
        name=texts,
        kind=st.sampled_from((0, 1, 2, 3, 4, 5, 9, -1)),
        start_time_unix_nano=times,
        end_time_unix_nano=times,
        attributes=attributes(),
        dropped_attributes_count=uint32s,
        events=few(event),
        dropped_events_count=uint32s,
        links=few(link),
        dropped_links_count=uint32s,
        status=maybe(message(Status, message=texts, code=st.sampled_from((0, 1, 2, 7, -1)))),
    )
    scope = message(ScopeSpans, scope=maybe(scopes()), spans=few(span), schema_url=texts)
    resource = message(ResourceSpans, resource=maybe(resources()), scope_spans=few(scope), schema_url=texts)
    return message(ExportTraceServiceRequest, resource_spans=few(resource))


def logs() -> st.SearchStrategy[ExportLogsServiceRequest]:
    record = message(
        LogRecord,
        time_unix_nano=times,
        observed_time_unix_nano=times,
        severity_number=st.sampled_from((0, 1, 9, 17, 24, 255, 256, 300, -1)),
        severity_text=texts,
        body=maybe(any_values()),
        attributes=attributes(),
        dropped_attributes_count=uint32s,
        flags=uint32s,
        trace_id=trace_ids,
        span_id=span_ids,
        event_name=texts,
    )
    scope = message(ScopeLogs, scope=maybe(scopes()), log_records=few(record), schema_url=texts)
    resource = message(ResourceLogs, resource=maybe(resources()), scope_logs=few(scope), schema_url=texts)
    return message(ExportLogsServiceRequest, resource_logs=few(resource))


def metrics() -> st.SearchStrategy[ExportMetricsServiceRequest]:
    kinds = {
        "gauge": message(Gauge, data_points=few(number_points())),
        "sum": message(
            Sum,
            data_points=few(number_points()),
            aggregation_temporality=temporalities,
            is_monotonic=st.booleans(),
        ),
        "histogram": message(
            Histogram, data_points=few(histogram_points()), aggregation_temporality=temporalities
        ),
        "exponential_histogram": message(
            ExponentialHistogram,
            data_points=few(exponential_histogram_points()),
            aggregation_temporality=temporalities,
        ),
        "summary": message(Summary, data_points=few(summary_points())),
    }
    metric = message(Metric, kinds, name=texts, description=texts, unit=texts, metadata=attributes(maximum=1))
    scope = message(
        ScopeMetrics, scope=maybe(scopes()), metrics=few(metric, sizes=(0, 1, 2, 3, 4)), schema_url=texts
    )
    resource = message(
        ResourceMetrics, resource=maybe(resources()), scope_metrics=few(scope), schema_url=texts
    )
    return message(ExportMetricsServiceRequest, resource_metrics=few(resource))


def requests(signal: Signal) -> st.SearchStrategy[list[bytes]]:
    """One to four serialized requests of the signal, as a batch holds them."""
    one = {"traces": traces, "logs": logs, "metrics": metrics}[signal]()
    return st.lists(one.map(lambda request: request.SerializeToString()), min_size=1, max_size=4)


@st.composite
def any_values(draw: st.DrawFn, depth: int = 4) -> AnyValue:  # noqa: PLR0911  a line for each type
    """Values of every type, absent included, nested at most `depth` levels deep."""
    types = ["absent", "string", "string", "string", "bool", "int", "double", "bytes"]
    if depth:
        types += ["array", "kvlist"]
    match draw(st.sampled_from(types)):
        case "string":
            return AnyValue(string_value=draw(texts))
        case "bool":
            return AnyValue(bool_value=draw(st.booleans()))
        case "int":
            return AnyValue(int_value=draw(ints))
        case "double":
            return AnyValue(double_value=draw(doubles))
        case "bytes":
            return AnyValue(bytes_value=draw(st.binary(max_size=7)))
        case "array":
            inner = draw(st.lists(any_values(depth - 1), max_size=4))
            return AnyValue(array_value=ArrayValue(values=inner))
        case "kvlist":
            pairs = draw(st.lists(key_values(depth - 1), max_size=4))
            return AnyValue(kvlist_value=KeyValueList(values=pairs))
        case _:
            return AnyValue()


@st.composite
def key_values(draw: st.DrawFn, depth: int = 4) -> KeyValue:
    return KeyValue(key=draw(keys), value=draw(maybe(any_values(depth))))


def attributes(maximum: int = 4) -> st.SearchStrategy[list[KeyValue]]:
    return st.lists(key_values(), max_size=maximum, unique_by=lambda pair: pair.key)


def resources() -> st.SearchStrategy[Resource]:
    return message(Resource, attributes=attributes(), dropped_attributes_count=uint32s)


def scopes() -> st.SearchStrategy[InstrumentationScope]:
    return message(
        InstrumentationScope,
        name=texts,
        version=texts,
        attributes=attributes(maximum=2),
        dropped_attributes_count=uint32s,
    )


def number_points() -> st.SearchStrategy[NumberDataPoint]:
    return message(NumberDataPoint, NUMBERS, **point(), exemplars=few(exemplars(), sizes=(0, 0, 1, 2)))


def histogram_points() -> st.SearchStrategy[HistogramDataPoint]:
    bare = message(HistogramDataPoint, **point(), **measured())

    @st.composite
    def with_buckets(draw: st.DrawFn) -> HistogramDataPoint:
        """Bounds in rising order and one count more than bounds, or neither."""
        drawn: HistogramDataPoint = draw(bare)
        if draw(st.booleans()):
            finite = st.floats(allow_nan=False, allow_infinity=False)
            bounds = sorted(draw(st.sets(finite, max_size=5) | st.integers(0, 150).map(range)))
            counts = draw(st.lists(uint64s, min_size=1, max_size=3))
            drawn.explicit_bounds.extend(bounds)
            drawn.bucket_counts.extend(islice(cycle(counts), len(bounds) + 1))
        return drawn

    return with_buckets()


def exponential_histogram_points() -> st.SearchStrategy[ExponentialHistogramDataPoint]:
    many = st.integers(0, 200).map(lambda length: list(range(length)))
    buckets = message(
        ExponentialHistogramDataPoint.Buckets,
        offset=int32s,
        bucket_counts=st.lists(uint64s, max_size=6) | many,
    )
    return message(
        ExponentialHistogramDataPoint,
        **point(),
        **measured(),
        scale=int32s,
        zero_count=uint64s,
        positive=maybe(buckets),
        negative=maybe(buckets),
        zero_threshold=doubles,
    )


def summary_points() -> st.SearchStrategy[SummaryDataPoint]:
    quantile = message(SummaryDataPoint.ValueAtQuantile, quantile=st.floats(0, 1), value=doubles)
    return message(
        SummaryDataPoint,
        **point(),
        count=uint64s,
        sum=doubles,
        quantile_values=st.lists(quantile, max_size=4),
    )


def exemplars() -> st.SearchStrategy[Exemplar]:
    return message(
        Exemplar,
        NUMBERS,
        filtered_attributes=attributes(maximum=2),
        time_unix_nano=times,
        span_id=span_ids,
        trace_id=trace_ids,
    )


def point() -> Fields:
    """Return the fields of every kind of data point."""
    return {
        "attributes": attributes(maximum=3),
        "start_time_unix_nano": times,
        "time_unix_nano": times,
        "flags": uint32s,
    }


def measured() -> Fields:
    """Return the additional fields of both kinds of histogram."""
    return {
        "count": uint64s,
        "sum": maybe(doubles),
        "min": maybe(doubles),
        "max": maybe(doubles),
        "exemplars": few(exemplars(), sizes=(0, 0, 1, 2)),
    }


NUMBERS: Fields = {"as_int": ints, "as_double": doubles}


def message(kind: Any, one_of: Fields | None = None, /, **fields: Any) -> st.SearchStrategy[Any]:
    """Draw a message with these fields and at most one of `one_of`; now and then an empty one."""

    # A composite, because the description of a plain strategy spells out all that it is built from.
    @st.composite
    def build(draw: st.DrawFn) -> Any:
        if draw(st.integers(0, 15)) == 0:
            return kind()
        drawn = {name: draw(field) for name, field in fields.items()}
        if one_of:
            chosen = draw(st.sampled_from((None, *one_of)))
            if chosen:
                drawn[chosen] = draw(one_of[chosen])
        return kind(**drawn)

    return build()


def few(
    elements: st.SearchStrategy[Any], sizes: tuple[int, ...] = (0, 1, 1, 1, 2, 2)
) -> st.SearchStrategy[list[Any]]:
    """Draw a list of one of these sizes; most are not empty, so that most requests hold records."""

    @st.composite
    def build(draw: st.DrawFn) -> list[Any]:
        return [draw(elements) for _ in range(draw(st.sampled_from(sizes)))]

    return build()


def maybe(part: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw a part of a message, or leave it out."""
    return st.sampled_from((True, False, True, True)).flatmap(lambda there: part if there else st.none())
