-- What a view can be narrowed to: the teams, people, projects and models of a period, those with the most events first.
SELECT kind, value
FROM (
    SELECT one.1 AS kind, one.2 AS value, sum(events) AS events
    FROM telemetry_daily
    ARRAY JOIN [
        ('team', toString(team)), ('user', toString(user_id)), ('project', toString(project)), ('model', toString(model))] AS one
    WHERE day >= toDate({from:DateTime64(6, 'UTC')}) AND day <= toDate({to:DateTime64(6, 'UTC')})
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    GROUP BY kind, value
    HAVING value != ''
)
ORDER BY kind, events DESC, value
LIMIT {limit:UInt64} BY kind
