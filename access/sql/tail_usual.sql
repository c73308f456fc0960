-- How long tool calls and model requests usually take.
SELECT
    event_type, if(event_type = 'api_request', toString(model), concat(mcp_server_name, '/', if(mcp_tool_name != '', mcp_tool_name, tool_name))) AS name,
    count() AS calls, quantilesExact(0.25, 0.5, 0.75)(assumeNotNull(duration_ms)) AS quartiles
FROM telemetry_events
WHERE event_type IN ('tool_result', 'api_request') AND duration_ms IS NOT NULL
    AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
GROUP BY event_type, name
HAVING calls >= {least:UInt64}
ORDER BY calls DESC, event_type, name
LIMIT 2000
