-- What each session did with one MCP server, or without any: a row for each of these parts.
SELECT
    if(server = '', session_id, concat(session_id, '/', server)) AS benchmark_id,
    began AS timestamp, session_id AS session, user, team_name AS team, project_name AS project, model_name AS model,
    server AS mcp_server, step AS task_type, took AS duration_ms, tokens_in, tokens_out,
    tokens_in + tokens_out AS tokens_total, nanos, nanos / 1e9 AS cost_usd, recomputed_nanos, recomputed_nanos / 1e9 AS recomputed_usd, unpriced, error_count = 0 AS success, error_count,
    retrieval_calls, retrieval_ms, avg_response_size, requests
FROM (
    SELECT
        session_id,
        mcp_server_name AS server,
        min(timestamp) AS began,
        max(user_id) AS user,
        max(team) AS team_name,
        max(project) AS project_name,
        max(model) AS model_name,
        argMinIf(workflow_step, (timestamp, workflow_step), workflow_step != '') AS step,
        ifNull(sum(duration_ms), 0) AS took,
        ifNull(sum(input_tokens), 0) AS tokens_in,
        ifNull(sum(output_tokens), 0) AS tokens_out,
        countIf(cost_source = 'unknown') AS unpriced,
        if(unpriced > 0 AND unpriced = requests, NULL, ifNull(sum(cost_nanos), 0)) AS nanos,
        ifNull(sumIf(cost_nanos, cost_source = 'recomputed'), 0) AS recomputed_nanos,
        countIf(failure != '') AS error_count,
        countIf(event_type = 'tool_result') AS retrieval_calls,
        ifNull(sumIf(duration_ms, event_type = 'tool_result'), 0) AS retrieval_ms,
        avg(result_bytes) AS avg_response_size,
        countIf(event_type = 'api_request') AS requests
    FROM telemetry_events
    WHERE event_type IN ('tool_result', 'api_request', 'api_error')
        AND session_id != ''
        AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
    GROUP BY session_id, server
)
