-- Whether any event is stored, how many are of a period, and how many of these of each part: why an answer is empty.
SELECT
    (SELECT count() FROM (SELECT 1 FROM telemetry_daily LIMIT 1)) AS stored,
    count() AS of_period,
    countIf(team = {team:String}) AS of_team,
    countIf(user_id = {user:String}) AS of_user,
    countIf(project = {project:String}) AS of_project,
    countIf(model = {model:String}) AS of_model
FROM telemetry_events
WHERE timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
