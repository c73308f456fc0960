-- The same from the roll-ups, which have the whole hours of a period; what lies at its edges are events.
SELECT
    toDateTime64(hour, 9, 'UTC') AS timestamp, event_type AS event, user_id AS user, team, project,
    mcp_server_name AS mcp_server, if(mcp_tool_name != '', mcp_tool_name, tool_name) AS tool, model,
    workflow_step AS task_type, agent_name AS agent, duration_ms,
    failure AS error, failures AS failed, events AS records, input_tokens AS tokens_in, output_tokens AS tokens_out,
    input_tokens + output_tokens AS tokens_total, cost_nanos AS nanos, recomputed_nanos, unpriced
FROM telemetry_hourly
WHERE event_type IN ('tool_result', 'api_request', 'api_error')
    AND hour >= {first_hour:DateTime('UTC')} AND hour < {last_hour:DateTime('UTC')} /* filters */
UNION ALL
SELECT
    timestamp, event_type AS event, user_id AS user, team, project,
    mcp_server_name AS mcp_server, if(mcp_tool_name != '', mcp_tool_name, tool_name) AS tool, model,
    workflow_step AS task_type, agent_name AS agent,
    ifNull(duration_ms, 0) AS duration_ms, failure AS error, toUInt64(failure != '') AS failed, toUInt64(1) AS records,
    ifNull(input_tokens, 0) AS tokens_in, ifNull(output_tokens, 0) AS tokens_out,
    ifNull(input_tokens, 0) + ifNull(output_tokens, 0) AS tokens_total, ifNull(cost_nanos, 0) AS nanos,
    if(cost_source = 'recomputed', ifNull(cost_nanos, 0), 0) AS recomputed_nanos, toUInt64(cost_source = 'unknown') AS unpriced
FROM telemetry_events
WHERE event_type IN ('tool_result', 'api_request', 'api_error')
    AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
    AND (timestamp < {first_hour:DateTime('UTC')} OR timestamp >= {last_hour:DateTime('UTC')}) /* filters */
