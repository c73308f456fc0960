SELECT
    toUnixTimestamp64Nano(Timestamp) AS time_ns,
    left(Body, 20000) AS body,
    EventName AS event,
    /* severity */ AS severity,
    ServiceName AS service,
    TraceId AS trace_id,
    SpanId AS span_id,
    mapApply((key, value) -> (key, left(value, 2000)), LogAttributes) AS attributes,
    ResourceAttributes AS resource
FROM otel_logs
WHERE /* which */
ORDER BY Timestamp /* order */, cityHash64(Body, TraceId, SpanId, toString(LogAttributes)) /* order */
LIMIT {limit:UInt64} OFFSET {skip:UInt64}
