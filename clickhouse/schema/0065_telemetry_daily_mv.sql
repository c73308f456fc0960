-- With what is recomputed and unknown of the cost.
ALTER TABLE telemetry_daily_mv MODIFY QUERY
SELECT
    toDate(hour, 'UTC') AS day,
    event_type, user_id, team, department, cost_center, project, service_name, model, speed, query_source, workflow_step,
    agent_name, skill_name, mcp_server_name, mcp_tool_name, tool_name, decision, decision_source, failure,
    sum(events) AS events,
    sum(failures) AS failures,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_creation_tokens) AS cache_creation_tokens,
    sum(cost_nanos) AS cost_nanos,
    sum(h.recomputed_nanos) AS recomputed_nanos,
    sum(h.unpriced) AS unpriced,
    sum(duration_ms) AS duration_ms,
    max(last_seen) AS last_seen
FROM telemetry_hourly AS h
GROUP BY ALL
