SELECT
    TraceId AS trace_id,
    SpanId AS span_id,
    ParentSpanId AS parent_id,
    SpanName AS name,
    ServiceName AS service,
    SpanKind AS kind,
    toUnixTimestamp64Nano(Timestamp) AS start_ns,
    Duration AS duration_ns,
    StatusCode AS status_code,
    left(StatusMessage, 2000) AS status,
    mapApply((key, value) -> (key, left(value, 2000)), SpanAttributes) AS attributes,
    arrayMap(time -> toUnixTimestamp64Nano(time), `Events.Timestamp`) AS event_times,
    `Events.Name` AS event_names,
    `Events.Attributes` AS event_attributes,
    `Links.TraceId` AS link_traces,
    `Links.SpanId` AS link_spans
FROM otel_traces
WHERE TraceId IN JSONExtract({ids:String}, 'Array(String)') AND Timestamp >= fromUnixTimestamp64Nano({from:Int64}, 'UTC')
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64}, 'UTC')
ORDER BY TraceId, Timestamp, SpanId
LIMIT {spans:UInt64} BY TraceId
LIMIT {most:UInt64}
