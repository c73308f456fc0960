-- With what is recomputed and unknown of the cost.
ALTER TABLE telemetry_hourly_mv MODIFY QUERY
SELECT
    toStartOfHour(toDateTime(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')) AS hour,
    event_type, user_id, team, department, cost_center, project, service_name, model, speed, query_source, workflow_step,
    agent_name, skill_name, mcp_server_name, mcp_tool_name, tool_name, decision, decision_source, failure,
    count() AS events,
    countIf(failure != '') AS failures,
    sum(ifNull(input_tokens, 0)) AS input_tokens,
    sum(ifNull(output_tokens, 0)) AS output_tokens,
    sum(ifNull(cache_read_tokens, 0)) AS cache_read_tokens,
    sum(ifNull(cache_creation_tokens, 0)) AS cache_creation_tokens,
    sum(ifNull(cost_nanos, 0)) AS cost_nanos,
    sumIf(ifNull(e.cost_nanos, 0), e.cost_source = 'recomputed') AS recomputed_nanos,
    countIf(e.cost_source = 'unknown') AS unpriced,
    sum(ifNull(duration_ms, 0)) AS duration_ms,
    max(toDateTime64(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 3, 'UTC')) AS last_seen
FROM telemetry_events AS e
GROUP BY ALL
