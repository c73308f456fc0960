-- How long people waited for requests that were tried again, beyond those that were answered at once.
SELECT
    sumIf(duration_ms, attempt > 1) - countIf(attempt > 1) * ifNull(avgIf(duration_ms, ifNull(attempt, 1) <= 1), 0) AS ms
FROM telemetry_spans
WHERE span_type = 'llm_request' AND ifNull(success, true) AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
    AND ({thing:String} = '' OR replaceOne(model, '[1m]', '') = {thing:String})
    AND {value:String} = multiIf({dimension:String} = 'team', toString(team), {dimension:String} = 'user', toString(user_id),
        {dimension:String} = 'users', if(has(JSONExtract({value:String}, 'Array(String)'), toString(user_id)), {value:String}, ''),
        {dimension:String} = 'project', toString(project), {dimension:String} = 'version', toString(service_version),
        {dimension:String} = 'model', replaceOne(model, '[1m]', ''), '')
