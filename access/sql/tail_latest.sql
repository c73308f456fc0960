-- The newest events of a period, in the order of their time: on one server and on a cluster.
SELECT
    timestamp, event_type, session_id, mcp_server_name AS mcp_server,
    if(mcp_tool_name != '', mcp_tool_name, tool_name) AS tool, model, failure, status_code,
    substringUTF8(concat(api_error_message, error_message), 1, 300) AS message,
    duration_ms, input_tokens AS tokens_in, output_tokens AS tokens_out, cost_usd, result_bytes AS response_size
FROM telemetry_events
WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
ORDER BY timestamp DESC
LIMIT {limit:UInt64}
