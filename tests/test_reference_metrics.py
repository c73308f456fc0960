"""The reference decoder, compared with expectations written by hand: every kind of metric."""

import math
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    InstrumentationScope,
)
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

from tests.decoding import SPAN_HEX, SPAN_ID, T0, TRACE_HEX, TRACE_ID, pairs
from tests.reference import Row, rows

POINT = {
    "attributes": pairs({"model": "opus"}),
    "start_time_unix_nano": T0,
    "time_unix_nano": T0 + 60,
    "flags": 2,
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
    "Flags": 2,
}
EXPECTED_EXEMPLARS = {
    "Exemplars.FilteredAttributes": [{"x": "1"}, {}, {}],
    "Exemplars.TimeUnix": [T0 + 2, 0, 0],
    "Exemplars.Value": [7.0, 0.25, math.nan],
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
    """An integer becomes a float, a value that is not there NaN, and so does one that is said to be none."""
    points = [
        NumberDataPoint(**POINT, as_int=2**53 + 1, exemplars=EXEMPLARS),
        NumberDataPoint(**POINT, as_double=-1.5),
        NumberDataPoint(**POINT),
        NumberDataPoint(**POINT | {"flags": 3}, as_double=0),
    ]
    without = {name: [] for name in EXPECTED_EXEMPLARS}
    assert metric_rows({"gauge": Gauge(data_points=points)}) == {
        "otel_metrics_gauge": [
            {**EXPECTED_POINT, **EXPECTED_EXEMPLARS, "Value": 2.0**53},
            {**EXPECTED_POINT, **without, "Value": -1.5},
            {**EXPECTED_POINT, **without, "Value": math.nan},
            {**EXPECTED_POINT, **without, "Flags": 3, "Value": math.nan},
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
    """Its neighbours have their rows."""
    gauge = Gauge(data_points=[NumberDataPoint(as_int=1)])
    assert metric_rows({}) == {}
    assert {table: len(of) for table, of in metric_rows({}, {"gauge": gauge}, {"sum": Sum()}).items()} == {
        "otel_metrics_gauge": 1
    }
