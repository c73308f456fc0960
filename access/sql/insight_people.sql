-- Who works with what: teams, projects, models, versions; on which days, and when last.
SELECT
    user_id,
    groupUniqArray(toString(team)) AS teams,
    groupUniqArray(toString(project)) AS projects,
    groupUniqArrayIf(toString(thing), event_type = 'api_request') AS models,
    groupUniqArray(toString(service_version)) AS versions,
    arraySort(groupUniqArray(toUInt32(toUnixTimestamp(toStartOfDay(hour, 'UTC'))))) AS days,
    toUnixTimestamp(least(max(last_seen), {to:DateTime('UTC')})) AS newest
FROM telemetry_measures
WHERE hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')} AND user_id != ''
    AND event_type IN ('user_prompt', 'api_request', 'api_error', 'mcp_server_connection')
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
GROUP BY user_id
