-- How often each kind of failure happened, and in as long a time before; NULL where nothing was recorded then.
WITH
    toDateTime(greatest(0, 2 * toUnixTimestamp({from:DateTime('UTC')}) - toUnixTimestamp({to:DateTime('UTC')})), 'UTC') AS begins_before,
    counted AS (
        SELECT
            failure AS category,
            if(failure = 'mcp connection', mcp_server_name, '') AS server,
            sumIf(failures, hour >= {from:DateTime('UTC')}) AS times,
            sumIf(failures, hour < {from:DateTime('UTC')}) AS earlier,
            sum(countIf(hour < {from:DateTime('UTC')})) OVER () > 0 AS was_recorded
        FROM telemetry_hourly
        WHERE hour >= begins_before AND hour < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
        GROUP BY category, server
    )
SELECT
    category,
    server,
    times,
    if(was_recorded, earlier, NULL) AS before,
    100 * times / sum(times) OVER () AS percent
FROM counted
WHERE category != '' AND times >= {least:UInt64}
ORDER BY times DESC, category, server
LIMIT {limit:UInt64}
