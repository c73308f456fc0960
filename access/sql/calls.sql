-- Tool calls that ended.
SELECT
    timestamp, session_id AS session, user_id AS user, team, project, mcp_server_name AS mcp_server,
    if(mcp_tool_name != '', mcp_tool_name, tool_name) AS tool,
    workflow_step AS task_type, agent_name AS agent, duration_ms, success, failure AS error,
    error_message AS error_details, result_bytes AS response_size, tool_use_id AS call_id
FROM telemetry_events
WHERE event_type = 'tool_result'
    AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
