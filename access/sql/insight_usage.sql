-- What requests used, inside and outside of a finding's time, by model, for those whom it is about; by whole hours.
SELECT
    hour >= {begins:DateTime('UTC')} AND hour < {ends:DateTime('UTC')} AS is_inside,
    thing AS model,
    sum(events) AS requests,
    sum(input_tokens) AS sent,
    sum(output_tokens) AS received,
    sum(cache_read_tokens) AS cached,
    sum(cache_creation_tokens) AS written,
    sum(cost_nanos) / 1e9 AS usd,
    sum(agents_nanos) / 1e9 AS agents_usd,
    sum(compactions_nanos) / 1e9 AS compactions_usd
FROM telemetry_measures
WHERE event_type = 'api_request' AND hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
    AND {value:String} = multiIf(
        {dimension:String} = 'team', toString(team),
        {dimension:String} = 'user', toString(user_id),
        {dimension:String} = 'users', if(has(JSONExtract({value:String}, 'Array(String)'), toString(user_id)), {value:String}, ''),
        {dimension:String} = 'project', toString(project),
        {dimension:String} = 'model', toString(thing),
        {dimension:String} = 'version', toString(service_version),
        '')
GROUP BY is_inside, model
