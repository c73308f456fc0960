-- As insight_usage, of one subagent's requests: from the roll-up that knows subagents.
SELECT
    hour >= toStartOfHour({begins:DateTime('UTC')}) AND hour < {ends:DateTime('UTC')} AS is_inside,
    toString(h.model) AS model,
    sum(events) AS requests,
    sum(h.input_tokens) AS sent,
    sum(h.output_tokens) AS received,
    sum(h.cache_read_tokens) AS cached,
    sum(h.cache_creation_tokens) AS written,
    sum(h.cost_nanos) / 1e9 AS usd
FROM telemetry_hourly AS h
WHERE event_type = 'api_request' AND agent_name = {thing:String} AND hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
    AND ({team:String} = '' OR h.team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR h.project = {project:String})
    AND {value:String} = multiIf(
        {dimension:String} = 'team', toString(h.team),
        {dimension:String} = 'user', toString(user_id),
        {dimension:String} = 'users', if(has(JSONExtract({value:String}, 'Array(String)'), toString(user_id)), {value:String}, ''),
        {dimension:String} = 'project', toString(h.project),
        '')
GROUP BY is_inside, model
