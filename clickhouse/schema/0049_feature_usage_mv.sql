CREATE MATERIALIZED VIEW IF NOT EXISTS feature_usage_mv TO feature_usage AS
WITH
    SpanAttributes['mcp.method.name'] AS method,
    SpanAttributes['gen_ai.tool.name'] AS tool,
    SpanAttributes['gen_ai.prompt.name'] AS prompt
SELECT
    toDate(least(Timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') AS date,
    ServiceName AS service_name,
    multiIf(
        method = 'tools/call', if(tool = '', 'tool', concat('tool:', tool)),
        method = 'prompts/get', if(prompt = '', 'prompt', concat('prompt:', prompt)),
        'resource') AS feature,
    count() AS usage_count,
    countIf(SpanAttributes['error.type'] != '') AS error_count,
    uniqState(nullIf(SpanAttributes['enduser.pseudo.id'], '')) AS unique_users
FROM otel_traces
WHERE ScopeName = 'mcp_server_telemetry'
    AND SpanAttributes['mcp.method.name'] IN ('tools/call', 'prompts/get', 'resources/read')
GROUP BY date, service_name, feature
