CREATE MATERIALIZED VIEW IF NOT EXISTS otel_traces_trace_id_ts_mv TO otel_traces_trace_id_ts AS
SELECT
    TraceId,
    toDateTime(least(min(Timestamp), toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') AS Start,
    toDateTime(least(max(Timestamp), toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') AS End
FROM otel_traces
WHERE TraceId != ''
GROUP BY TraceId
