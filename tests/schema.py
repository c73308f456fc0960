"""The tables as they should be: columns, their order and types, which have a time, and how to list what is stored."""

M = "Map(LowCardinality(String), String)"
LC = "LowCardinality(String)"
TIME = "DateTime64(9)"


def nested(name: str, **columns: str) -> dict[str, str]:
    return {f"{name}.{column}": f"Array({kind})" for column, kind in columns.items()}


EXEMPLARS = nested(
    "Exemplars", FilteredAttributes=M, TimeUnix=TIME, Value="Float64", SpanId="String", TraceId="String"
)
METRIC = {
    "ResourceAttributes": M, "ResourceSchemaUrl": "String", "ScopeName": "String", "ScopeVersion": "String",
    "ScopeAttributes": M, "ScopeDroppedAttrCount": "UInt32", "ScopeSchemaUrl": "String", "ServiceName": LC,
    "MetricName": LC, "MetricDescription": "String", "MetricUnit": "String", "Attributes": M,
    "StartTimeUnix": TIME, "TimeUnix": TIME,
}  # fmt: skip
NUMBER = {**METRIC, "Value": "Float64", "Flags": "UInt32", **EXEMPLARS}
BOUNDS = {"Flags": "UInt32", "Min": "Float64", "Max": "Float64", "AggregationTemporality": "Int32"}
TABLES = {
    "otel_traces": {
        "Timestamp": TIME, "TraceId": "String", "SpanId": "String", "ParentSpanId": "String",
        "TraceState": "String",
        "SpanName": LC, "SpanKind": LC, "ServiceName": LC, "ResourceAttributes": M, "ScopeName": "String",
        "ScopeVersion": "String", "SpanAttributes": M, "Duration": "UInt64", "StatusCode": LC,
        "StatusMessage": "String", **nested("Events", Timestamp=TIME, Name=LC, Attributes=M),
        **nested("Links", TraceId="String", SpanId="String", TraceState="String", Attributes=M),
    },
    "otel_traces_trace_id_ts": {"TraceId": "String", "Start": "DateTime", "End": "DateTime"},
    "otel_logs": {
        "Timestamp": TIME, "TraceId": "String", "SpanId": "String", "TraceFlags": "UInt8", "SeverityText": LC,
        "SeverityNumber": "UInt8", "ServiceName": LC, "Body": "String", "ResourceSchemaUrl": LC,
        "ResourceAttributes": M, "ScopeSchemaUrl": LC, "ScopeName": "String", "ScopeVersion": LC,
        "ScopeAttributes": M, "LogAttributes": M, "EventName": "String",
    },
    "otel_metrics_gauge": NUMBER,
    "otel_metrics_sum": {**NUMBER, "AggregationTemporality": "Int32", "IsMonotonic": "Bool"},
    "otel_metrics_summary": {
        **METRIC, "Count": "UInt64", "Sum": "Float64",
        **nested("ValueAtQuantiles", Quantile="Float64", Value="Float64"), "Flags": "UInt32",
    },
    "otel_metrics_histogram": {
        **METRIC, "Count": "UInt64", "Sum": "Float64", "BucketCounts": "Array(UInt64)",
        "ExplicitBounds": "Array(Float64)", **EXEMPLARS, **BOUNDS,
    },
    "otel_metrics_exp_histogram": {
        **METRIC, "Count": "UInt64", "Sum": "Float64", "Scale": "Int32", "ZeroCount": "UInt64",
        "PositiveOffset": "Int32", "PositiveBucketCounts": "Array(UInt64)", "NegativeOffset": "Int32",
        "NegativeBucketCounts": "Array(UInt64)", **EXEMPLARS, **BOUNDS,
    },
}  # fmt: skip
TIME_COLUMN = {
    table: "Timestamp" if "Timestamp" in columns else "TimeUnix"
    for table, columns in TABLES.items()
    if table != "otel_traces_trace_id_ts"
}
TIMELESS = {"model_prices", "schema_migrations", "telemetry_forgotten"}
"""The tables that the server writes itself: kept for ever, and with few rows."""
STORED = (
    "SELECT name, engine_full FROM system.tables"
    " WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name"
)
