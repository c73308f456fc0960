-- What requests used, inside and outside of a finding's time, by model, for those whom it is about.
SELECT
    timestamp >= {begins:DateTime('UTC')} AND timestamp < {ends:DateTime('UTC')} AS is_inside,
    model_name AS model,
    count() AS requests,
    sum(ifNull(input_tokens, 0)) AS sent,
    sum(ifNull(output_tokens, 0)) AS received,
    sum(ifNull(cache_read_tokens, 0)) AS cached,
    sum(ifNull(cache_creation_tokens, 0)) AS written,
    sum(ifNull(cost_nanos, 0)) / 1e9 AS usd,
    sumIf(ifNull(cost_nanos, 0), agent_name != '' OR startsWith(query_source, 'agent')) / 1e9 AS agents_usd,
    sumIf(ifNull(cost_nanos, 0), query_source = 'compact') / 1e9 AS compactions_usd
FROM telemetry_events
WHERE event_type = 'api_request' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
    AND {value:String} = multiIf(
        {dimension:String} = 'team', toString(team),
        {dimension:String} = 'user', toString(user_id),
        {dimension:String} = 'project', toString(project),
        {dimension:String} = 'version', toString(service_version),
        '')
GROUP BY is_inside, model
