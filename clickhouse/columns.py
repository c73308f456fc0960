"""The column types in which the engine reads `otlp.proto`, one per OTLP signal or metric kind.

The engine could infer them from the schema file, except for the extra column that says which member of a `oneof` was
sent (`input_format_protobuf_oneof_presence`): an enumeration named after the `oneof`, whose element for "none" must be
called `no`. Names that repeat within a batch are dictionary-encoded, so that each is processed once.

Source: https://clickhouse.com/docs/interfaces/formats/Protobuf
"""

from collections.abc import Mapping


def _tuple(**elements: str) -> str:
    return f"Tuple({', '.join(f'{name} {kind}' for name, kind in elements.items())})"


def _array(**elements: str) -> str:
    return f"Array({_tuple(**elements)})"


def _oneof(**members: tuple[int, str]) -> dict[str, str]:
    """Return the members' columns, and the column that holds the tag number of the member that was sent."""
    tags = {"no": 0, **{name: tag for name, (tag, _) in members.items()}}
    sent = ", ".join(f"'{name}' = {tag}" for name, tag in tags.items())
    return {**{name: kind for name, (_, kind) in members.items()}, "value": f"Enum8({sent})"}


_NAME = "LowCardinality(String)"
_ATTRIBUTES = "Array(String)"
_RESOURCE = _tuple(attributes=_ATTRIBUTES)
_SCOPE = _tuple(name=_NAME, version=_NAME, attributes=_ATTRIBUTES, dropped_attributes_count="UInt32")
_EXEMPLARS = _array(
    time_unix_nano="UInt64",
    **_oneof(as_double=(3, "Float64"), as_int=(6, "Int64")),
    span_id="String",
    trace_id="String",
    filtered_attributes=_ATTRIBUTES,
)
_TIMES = {"start_time_unix_nano": "UInt64", "time_unix_nano": "UInt64"}
_BUCKETS = _tuple(offset="Int32", bucket_counts="Array(UInt64)")
_DISTRIBUTION = {
    **_TIMES,
    "count": "UInt64",
    "sum": "Float64",
    "attributes": _ATTRIBUTES,
    "exemplars": _EXEMPLARS,
    "flags": "UInt32",
    "min": "Float64",
    "max": "Float64",
}

_SPANS = _array(
    trace_id="String",
    span_id="String",
    trace_state=_NAME,
    parent_span_id="String",
    name=_NAME,
    kind="Int32",
    start_time_unix_nano="UInt64",
    end_time_unix_nano="UInt64",
    attributes=_ATTRIBUTES,
    events=_array(time_unix_nano="UInt64", name=_NAME, attributes=_ATTRIBUTES),
    links=_array(trace_id="String", span_id="String", trace_state=_NAME, attributes=_ATTRIBUTES),
    status=_tuple(message=_NAME, code="Int32"),
)
_LOG_RECORDS = _array(
    time_unix_nano="UInt64",
    severity_number="Int32",
    severity_text=_NAME,
    body="Array(String)",
    attributes=_ATTRIBUTES,
    flags="UInt32",
    trace_id="String",
    span_id="String",
    observed_time_unix_nano="UInt64",
    event_name=_NAME,
)
_NUMBER_POINTS = _array(
    **_TIMES,
    **_oneof(as_double=(4, "Float64"), as_int=(6, "Int64")),
    exemplars=_EXEMPLARS,
    attributes=_ATTRIBUTES,
    flags="UInt32",
)

# Each is one member of Metric's oneof: a statement reads only the kind of its table.
_METRIC_DATA = {
    "gauge": _tuple(data_points=_NUMBER_POINTS),
    "sum": _tuple(data_points=_NUMBER_POINTS, aggregation_temporality="Int32", is_monotonic="Bool"),
    "histogram": _tuple(
        data_points=_array(**_DISTRIBUTION, bucket_counts="Array(UInt64)", explicit_bounds="Array(Float64)"),
        aggregation_temporality="Int32",
    ),
    "exponential_histogram": _tuple(
        data_points=_array(
            **_DISTRIBUTION, scale="Int32", zero_count="UInt64", positive=_BUCKETS, negative=_BUCKETS
        ),
        aggregation_temporality="Int32",
    ),
    "summary": _tuple(
        data_points=_array(
            **_TIMES,
            count="UInt64",
            sum="Float64",
            quantile_values=_array(quantile="Float64", value="Float64"),
            attributes=_ATTRIBUTES,
            flags="UInt32",
        )
    ),
}


def _metrics(kind: str) -> str:
    metrics = _array(name=_NAME, description=_NAME, unit=_NAME, **{kind: _METRIC_DATA[kind]})
    scope_metrics = _array(scope=_SCOPE, metrics=metrics, schema_url=_NAME)
    resource_metrics = _array(resource=_RESOURCE, scope_metrics=scope_metrics, schema_url=_NAME)
    return f"resource_metrics {resource_metrics}"


_TRACES = _array(resource=_RESOURCE, scope_spans=_array(scope=_SCOPE, spans=_SPANS))
_LOGS = _array(
    resource=_RESOURCE,
    scope_logs=_array(scope=_SCOPE, log_records=_LOG_RECORDS, schema_url=_NAME),
    schema_url=_NAME,
)

STRUCTURES: Mapping[str, str] = {
    "otel_traces": f"resource_spans {_TRACES}",
    "otel_logs": f"resource_logs {_LOGS}",
    "otel_metrics_gauge": _metrics("gauge"),
    "otel_metrics_sum": _metrics("sum"),
    "otel_metrics_summary": _metrics("summary"),
    "otel_metrics_histogram": _metrics("histogram"),
    "otel_metrics_exp_histogram": _metrics("exponential_histogram"),
}
"""The structure passed to `file(…, 'Protobuf', structure)`, by target table."""
