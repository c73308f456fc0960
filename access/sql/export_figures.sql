-- The main figures of what is exported, in one row.
SELECT
    count() AS records,
    uniqExactIf(session_id, session_id != '') AS sessions,
    countIf(event_type = 'api_request') AS requests,
    countIf(event_type = 'tool_result') AS toolCalls,
    countIf(failure != '') AS errors,
    ifNull(sumIf(input_tokens, event_type = 'api_request'), 0) AS tokensIn,
    ifNull(sumIf(output_tokens, event_type = 'api_request'), 0) AS tokensOut,
    countIf(cost_source = 'unknown') AS unpriced,
    if(unpriced > 0 AND unpriced = requests, NULL, ifNull(sumIf(cost_nanos, event_type = 'api_request'), 0) / 1e9) AS costUsd,
    avgOrNullIf(duration_ms, event_type = 'tool_result') AS avgToolDuration,
    avgOrNullIf(duration_ms, event_type = 'api_request') AS avgRequestDuration,
    minOrNull(timestamp) AS firstRecord,
    maxOrNull(timestamp) AS lastRecord
FROM telemetry_events
WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
