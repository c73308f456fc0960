CREATE MATERIALIZED VIEW IF NOT EXISTS session_metrics_mv TO session_metrics AS
SELECT
    toDateTime64(Timestamp, 3, 'UTC') AS start_time,
    toDateTime64(Timestamp + toIntervalNanosecond(Duration), 3, 'UTC') AS end_time,
    ServiceName AS service_name,
    SpanAttributes['mcp.session.id'] AS session_id,
    SpanAttributes['mcp.model'] AS model,
    SpanAttributes['mcp.session.status'] AS status,
    SpanAttributes['network.transport'] AS transport,
    Duration / 1e9 AS duration_seconds,
    toUInt64OrZero(SpanAttributes['mcp.session.tokens']) AS token_count,
    toUInt64OrZero(SpanAttributes['mcp.session.messages']) AS message_count,
    toUInt64OrZero(SpanAttributes['mcp.session.checkpoints']) AS checkpoint_count,
    toUInt64OrZero(SpanAttributes['mcp.session.errors']) AS error_count
FROM otel_traces
WHERE SpanName = 'mcp.session' AND ScopeName = 'mcp_server_telemetry'
