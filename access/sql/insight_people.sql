-- Who works with what: teams, projects, models, versions; on which days, when last, and when each version was first seen.
SELECT
    user_id,
    groupUniqArray(toString(team)) AS teams,
    groupUniqArray(toString(project)) AS projects,
    groupUniqArrayIf(toString(model_name), event_type = 'api_request') AS models,
    groupUniqArray(toString(service_version)) AS versions,
    arraySort(groupUniqArray(toUInt32(toUnixTimestamp(toStartOfDay(timestamp, 'UTC'))))) AS days,
    toUnixTimestamp(toDateTime(max(timestamp), 'UTC')) AS newest
FROM telemetry_events
WHERE timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')} AND user_id != ''
    AND event_type IN ('user_prompt', 'api_request', 'api_error', 'mcp_server_connection')
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
GROUP BY user_id
