/*
question: What costs how much, by a dimension of your choice, and against the period before?
topic: cost
needs: [events]
note: >
  From api_request events. The names of skills, agents and MCP servers are those that the client puts on a request.
parameters:
  by: {default: team, meaning: 'model, user, team, department, cost_center, project, skill, agent, mcp_server, mcp_tool, query_source, workflow_step, speed, service, day or hour'}
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
  limit: {default: 100, meaning: 'how many, the dearest first'}
columns:
  value: 'what it is grouped by; empty: not said'
  requests: model requests that succeeded
  all_tokens: input, output and cache tokens
  output_tokens: tokens received
  cache_percent: input tokens that came from the cache
  usd: what the client says they cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  percent: the share of all cost
  usd_per_request: cost of a request, on average
  before: what it cost in the period of the same length before; empty when that is not known or nothing was recorded then
  change_percent: how much more or less; empty when it cost nothing before
wide: [before, output_tokens]
example: {value: platform, requests: 3180, all_tokens: 81220411, output_tokens: 1204110, cache_percent: 92.1, usd: 64.2, recomputed_usd: 0, unpriced: 0, percent: 38.4, usd_per_request: 0.0202, before: 51.1, change_percent: 25.6}
*/
WITH
    toStartOfHour({from:DateTime('UTC')}) AS begins,
    toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599)) AS ends,
    toDateTime(greatest(0, 2 * toUnixTimestamp(begins) - toUnixTimestamp(ends)), 'UTC') AS begins_before,
    -- Whether anything was recorded in the period before: else nothing is known of it, which is not 0.
    (
        SELECT count() > 0
        FROM (
            SELECT 1
            FROM telemetry_hourly
            WHERE hour >= begins_before AND hour < begins
                AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
                AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
            LIMIT 1
        )
    ) AS was_recorded,
    spent AS (
        SELECT
            multiIf(
            {by:String} = 'model', model,
            {by:String} = 'user', user_id,
            {by:String} = 'team', team,
            {by:String} = 'department', department,
            {by:String} = 'cost_center', cost_center,
            {by:String} = 'project', project,
            {by:String} = 'skill', skill_name,
            {by:String} = 'agent', agent_name,
            {by:String} = 'mcp_server', mcp_server_name,
            {by:String} = 'mcp_tool', mcp_tool_name,
            {by:String} = 'query_source', query_source,
            {by:String} = 'workflow_step', workflow_step,
            {by:String} = 'speed', speed,
            {by:String} = 'service', service_name,
            {by:String} = 'day', toString(toDate(hour, 'UTC')),
            {by:String} = 'hour', toString(hour),
            toString(throwIf(true, 'by is one of model, user, team, department, cost_center, project, skill, agent, mcp_server, mcp_tool, query_source, workflow_step, speed, service, day, hour'))) AS value,
            hour >= begins AS is_now,
            events,
            output_tokens AS received,
            cache_read_tokens AS cached,
            input_tokens + cached + cache_creation_tokens AS sent,
            cost_nanos,
            recomputed_nanos,
            telemetry_hourly.unpriced AS costless
        FROM telemetry_hourly
        WHERE event_type = 'api_request' AND hour >= begins_before AND hour < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
    )
SELECT
    value,
    sumIf(events, is_now) AS requests,
    sumIf(sent + received, is_now) AS all_tokens,
    sumIf(received, is_now) AS output_tokens,
    round(100 * sumIf(cached, is_now) / nullIf(sumIf(sent, is_now), 0), 1) AS cache_percent,
    if(unpriced > 0 AND unpriced = requests, NULL, round(sumIf(cost_nanos, is_now) / 1e9, 4)) AS usd,
    round(sumIf(recomputed_nanos, is_now) / 1e9, 4) AS recomputed_usd,
    sumIf(costless, is_now) AS unpriced,
    if(usd IS NULL, NULL, round(100 * sumIf(cost_nanos, is_now) / nullIf(sum(sumIf(cost_nanos, is_now)) OVER (), 0), 1)) AS percent,
    round(usd / nullIf(requests - unpriced, 0), 6) AS usd_per_request,
    if(NOT was_recorded OR (sumIf(costless, NOT is_now) > 0 AND sumIf(costless, NOT is_now) = sumIf(events, NOT is_now)), NULL,
        round(sumIf(cost_nanos, NOT is_now) / 1e9, 4)) AS before,
    round(100 * (usd - before) / nullIf(before, 0), 1) AS change_percent
FROM spent
GROUP BY value
ORDER BY usd DESC, before DESC, value
LIMIT {limit:UInt64}
