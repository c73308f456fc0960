-- How many events there are of each combination of what people group by. The roll-up has the whole hours of a period; what
-- lies at its edges are events.
SELECT
    event_type, team, department, cost_center, project, service_name, model, speed, query_source, workflow_step, agent_name,
    skill_name, mcp_server_name, mcp_tool_name, tool_name, decision, decision_source, failure, events AS records
FROM telemetry_hourly
WHERE hour >= {first_hour:DateTime('UTC')} AND hour < {last_hour:DateTime('UTC')}
UNION ALL
SELECT
    event_type, team, department, cost_center, project, service_name, model, speed, query_source, workflow_step, agent_name,
    skill_name, mcp_server_name, mcp_tool_name, tool_name, decision, decision_source, failure, toUInt64(1) AS records
FROM telemetry_events
WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
    AND (timestamp < {first_hour:DateTime('UTC')} OR timestamp >= {last_hour:DateTime('UTC')})
