-- Events from the future, which a clock that is ahead gives: whose, in which sessions, by how much at least, and what
-- their requests cost.
SELECT
    user_id AS user,
    any(toString(e.team)) AS team,
    count() AS events,
    sumIf(ifNull(cost_nanos, 0), event_type = 'api_request') / 1e9 AS usd,
    toUnixTimestamp(toDateTime(min(timestamp), 'UTC')) AS first,
    toUnixTimestamp(toDateTime(max(timestamp), 'UTC')) AS newest,
    arraySlice(groupUniqArray(toString(session_id)), 1, 3) AS sessions
FROM telemetry_events AS e
WHERE timestamp > {now:DateTime('UTC')} + toIntervalMinute(5) AND timestamp < {now:DateTime('UTC')} + toIntervalDay(400)
    AND ({team:String} = '' OR e.team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
GROUP BY user
ORDER BY events DESC
