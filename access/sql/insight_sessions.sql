-- Single sessions that cost many times what any other does, and what their people's did before: by the roll-up of sessions.
WITH
    whole AS (
        SELECT
            session_id, max(user_id) AS user, max(team) AS of_team, max(project) AS of_project, sum(cost_nanos) / 1e9 AS usd,
            sum(requests) AS asked, sum(prompts) AS prompted, min(started) AS begun, max(ended) AS last
        FROM telemetry_sessions
        WHERE day >= toDate({history:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
        GROUP BY session_id
        HAVING usd > 0 AND begun < {to:DateTime('UTC')}
            AND ({team:String} = '' OR of_team = {team:String}) AND ({user:String} = '' OR user = {user:String}) AND ({project:String} = '' OR of_project = {project:String})
    ),
    (SELECT quantileExact(0.99)(usd) FROM whole) AS nearly_all,
    (SELECT quantileExact(0.5)(usd) FROM whole) AS typical
SELECT
    session_id AS session, user, of_team AS team, usd, asked, prompted,
    toUnixTimestamp(begun) AS since, toUnixTimestamp(last) AS until, nearly_all, typical, dearest
FROM (
    SELECT *, ifNull(max(usd) OVER (PARTITION BY user ORDER BY begun ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS dearest
    FROM whole
)
WHERE last >= {from:DateTime('UTC')} AND usd >= 5 AND usd >= 3 * nearly_all AND usd >= 2 * dearest
ORDER BY usd DESC
LIMIT 5
