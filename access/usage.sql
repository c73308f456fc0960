-- What the usage metrics show: few numbers, and no label that a client can make up.
WITH
    now64(3, 'UTC') AS present,
    toDate(present, 'UTC') AS today,
    [
        'user_prompt', 'assistant_response', 'api_request', 'api_error', 'api_refusal', 'api_retries_exhausted', 'tool_decision',
        'tool_result', 'permission_mode_changed', 'mcp_server_connection', 'hook_execution_complete', 'compaction', 'internal_error'
    ] AS events,
    ['default', 'acceptEdits', 'plan', 'auto', 'dontAsk', 'bypassPermissions'] AS modes
SELECT 'cost' AS measure, ['month'] AS labels, sum(cost_nanos) / 1e9 AS value
FROM telemetry_daily WHERE event_type = 'api_request' AND day BETWEEN toStartOfMonth(today) AND today
UNION ALL
SELECT 'cost', ['day'], sum(cost_nanos) / 1e9
FROM telemetry_daily WHERE event_type = 'api_request' AND day = today
UNION ALL
SELECT 'cost', ['week'], sum(cost_nanos) / 1e9
FROM telemetry_daily WHERE event_type = 'api_request' AND day BETWEEN today - 7 AND today - 1
UNION ALL
SELECT 'cost', ['hour'], sum(ifNull(cost_nanos, 0)) / 1e9
FROM telemetry_events WHERE event_type = 'api_request' AND timestamp BETWEEN present - INTERVAL 1 HOUR AND present
UNION ALL
SELECT measure, labels, value
FROM (
    SELECT sum(recomputed_nanos) / 1e9 AS recomputed, toFloat64(sum(telemetry_daily.unpriced)) AS unpriced
    FROM telemetry_daily WHERE event_type = 'api_request' AND day BETWEEN toStartOfMonth(today) AND today
)
ARRAY JOIN ['recomputed', 'unpriced'] AS measure, [['month'], ['month']] AS labels, [recomputed, unpriced] AS value
UNION ALL
SELECT measure, labels, value
FROM (
    SELECT sum(recomputed_nanos) / 1e9 AS recomputed, toFloat64(sum(telemetry_daily.unpriced)) AS unpriced
    FROM telemetry_daily WHERE event_type = 'api_request' AND day = today
)
ARRAY JOIN ['recomputed', 'unpriced'] AS measure, [['day'], ['day']] AS labels, [recomputed, unpriced] AS value
UNION ALL
SELECT measure, labels, value
FROM (
    SELECT sum(recomputed_nanos) / 1e9 AS recomputed, toFloat64(sum(telemetry_daily.unpriced)) AS unpriced
    FROM telemetry_daily WHERE event_type = 'api_request' AND day BETWEEN today - 7 AND today - 1
)
ARRAY JOIN ['recomputed', 'unpriced'] AS measure, [['week'], ['week']] AS labels, [recomputed, unpriced] AS value
UNION ALL
SELECT measure, labels, value
FROM (
    SELECT
        sumIf(ifNull(cost_nanos, 0), cost_source = 'recomputed') / 1e9 AS recomputed,
        toFloat64(countIf(cost_source = 'unknown')) AS unpriced
    FROM telemetry_events WHERE event_type = 'api_request' AND timestamp BETWEEN present - INTERVAL 1 HOUR AND present
)
ARRAY JOIN ['recomputed', 'unpriced'] AS measure, [['hour'], ['hour']] AS labels, [recomputed, unpriced] AS value
UNION ALL
SELECT 'event', [if(event_type IN events, toString(event_type), 'other'), if(failure = '', 'ok', 'failed')] AS labels, count()
FROM telemetry_events WHERE timestamp BETWEEN present - INTERVAL 1 HOUR AND present
GROUP BY labels
UNION ALL
SELECT 'mode', [if(attributes['to_mode'] IN modes, toString(attributes['to_mode']), 'other')] AS labels, count()
FROM telemetry_events WHERE event_type = 'permission_mode_changed' AND timestamp BETWEEN present - INTERVAL 1 HOUR AND present
GROUP BY labels
UNION ALL
SELECT 'newest', ['logs'], toUnixTimestamp(max(Timestamp))
FROM otel_logs WHERE Timestamp BETWEEN present - INTERVAL 2 DAY AND present AND ServiceName != 'telemetry-check'
UNION ALL
SELECT 'newest', ['traces'], toUnixTimestamp(max(Timestamp))
FROM otel_traces WHERE Timestamp BETWEEN present - INTERVAL 2 DAY AND present AND ServiceName != 'telemetry-check'
UNION ALL
SELECT 'newest', ['metrics'], toUnixTimestamp(max(TimeUnix))
FROM otel_metrics_sum WHERE TimeUnix BETWEEN present - INTERVAL 2 DAY AND present AND ServiceName != 'telemetry-check'
