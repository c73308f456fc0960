-- The use of each session in a period and in the one before.
SELECT
    timestamp >= {begins:DateTime64(6, 'UTC')} AS is_now, session_id, toFloat64(1) AS sessions,
    toFloat64(countIf(event_type = 'api_request')) AS requests,
    toFloat64(countIf(event_type = 'tool_result')) AS calls,
    toFloat64(ifNull(sum(input_tokens), 0) + ifNull(sum(output_tokens), 0)) AS tokens,
    ifNull(sum(cost_nanos), 0) / 1e9 AS cost_usd
FROM telemetry_events
WHERE event_type IN ('tool_result', 'api_request') AND session_id != ''
    AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
GROUP BY is_now, session_id
