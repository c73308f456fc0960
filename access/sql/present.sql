-- What goes on now: sessions of the last minutes, what today cost, and what the days before had cost by this time.
WITH
    {now:DateTime('UTC')} AS present,
    toStartOfDay(present) AS midnight,
    spent AS (
        SELECT toDate(hour, 'UTC') AS day, sum(cost_nanos) / 1e9 AS usd
        FROM telemetry_hourly
        WHERE event_type = 'api_request' AND hour >= midnight - toIntervalDay(28) AND hour <= present
            AND toHour(hour, 'UTC') <= toHour(present, 'UTC')
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR project = {project:String}) AND ({model:String} = '' OR model = {model:String})
        GROUP BY day
    )
SELECT
    (
        SELECT count()
        FROM (
            SELECT session_id
            FROM telemetry_sessions
            WHERE day >= toDate(present) - 1
            GROUP BY session_id
            HAVING max(ended) > present - toIntervalMinute({minutes:UInt32}) AND max(ended) <= present + toIntervalMinute(1)
                AND ({team:String} = '' OR max(team) = {team:String}) AND ({user:String} = '' OR max(user_id) = {user:String})
                AND ({project:String} = '' OR max(project) = {project:String})
                AND ({model:String} = '' OR has(groupUniqArrayArray(models), {model:String}))
        )
    ) AS sessions,
    (SELECT sumIf(usd, day = toDate(midnight)) FROM spent) AS usd_today,
    (SELECT quantileExactOrNullIf(0.5)(usd, day < toDate(midnight) AND usd > 0) FROM spent) AS usd_usual
