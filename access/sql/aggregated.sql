-- Tool calls and model requests, to be added up.
SELECT
    timestamp, event_type AS event, session_id AS session, user_id AS user, team, project,
    mcp_server_name AS mcp_server, if(mcp_tool_name != '', mcp_tool_name, tool_name) AS tool, model,
    workflow_step AS task_type, agent_name AS agent, duration_ms, failure AS error,
    failure != '' AS failed, 1 AS records, input_tokens AS tokens_in, output_tokens AS tokens_out,
    input_tokens + output_tokens AS tokens_total, cost_nanos AS nanos,
    if(cost_source = 'recomputed', cost_nanos, 0) AS recomputed_nanos, toUInt64(cost_source = 'unknown') AS unpriced, result_bytes AS response_size
FROM telemetry_events
WHERE event_type IN ('tool_result', 'api_request', 'api_error')
    AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
