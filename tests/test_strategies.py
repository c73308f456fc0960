"""The coverage of the generated requests: every type, table and corner that the properties are meant to try."""

from collections.abc import Callable, Iterator
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
    KeyValue,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    SummaryDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tests import strategies
from tests.decoding import FakeScrub
from tests.reference import Signal, javascript_number, rows


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
    """Yield a message and every message inside it."""
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
