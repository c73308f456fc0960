-- What is expected never to happen, or never to be new: by whom, how often, since when.
SELECT
    multiIf(
        security = 'permissions bypassed', 'permissions bypassed',
        security = 'unofficial plugin', 'unofficial plugin',
        event_type = 'internal_error', 'internal error',
        event_type = 'mcp_server_connection', 'MCP server',
        security = 'failed login', 'failed login',
        '') AS kind,
    multiIf(kind = 'unofficial plugin', toString(plugin_name), kind = 'internal error', toString(error_type), kind = 'MCP server', toString(mcp_server_name), '') AS thing,
    e.user_id AS user,
    any(toString(e.team)) AS team,
    any(toString(service_version)) AS version,
    groupArray(toUInt32(toUnixTimestamp(toDateTime(timestamp, 'UTC')))) AS times,
    arraySlice(groupUniqArray(toString(session_id)), 1, 3) AS sessions
FROM telemetry_events AS e
WHERE event_type IN ('permission_mode_changed', 'plugin_installed', 'plugin_loaded', 'internal_error', 'mcp_server_connection', 'auth')
    AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')} AND kind != ''
    AND ({team:String} = '' OR e.team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
GROUP BY kind, thing, e.user_id
