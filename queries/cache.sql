/*
question: How much of the input comes from the cache?
topic: cost
needs: [events]
note: >
  The share is cacheRead / (input + cacheRead + cacheCreation).
parameters:
  by: {default: model, meaning: 'model, user, team, department, cost_center, project, skill, agent, mcp_server, mcp_tool, query_source, workflow_step, speed, service, day or hour'}
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  value: 'what it is grouped by; empty: not said'
  requests: model requests that succeeded
  input_tokens: tokens sent, neither read from the cache nor written to it
  cache_read_tokens: tokens read from the cache
  cache_creation_tokens: tokens written to it
  hit_percent: read from the cache, of all input
  reads_per_write: tokens read for each that was written; under 1 the cache hardly pays
  usd: what the requests cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  before: 'hit_percent in the period of the same length before; empty when nothing was sent then'
wide: [before]
example: {value: claude-sonnet-4-8, requests: 318, input_tokens: 91022, cache_read_tokens: 5120034, cache_creation_tokens: 310220, hit_percent: 92.7, reads_per_write: 16.5, usd: 6.42, recomputed_usd: 0, unpriced: 0, before: 93.1}
*/
WITH
    toStartOfHour({from:DateTime('UTC')}) AS begins,
    toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599)) AS ends,
    toDateTime(greatest(0, 2 * toUnixTimestamp(begins) - toUnixTimestamp(ends)), 'UTC') AS begins_before,
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
            input_tokens AS plain,
            cache_read_tokens AS cached,
            cache_creation_tokens AS written,
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
    sumIf(plain, is_now) AS input_tokens,
    sumIf(cached, is_now) AS cache_read_tokens,
    sumIf(written, is_now) AS cache_creation_tokens,
    round(100 * cache_read_tokens / nullIf(input_tokens + cache_read_tokens + cache_creation_tokens, 0), 1) AS hit_percent,
    round(cache_read_tokens / nullIf(cache_creation_tokens, 0), 2) AS reads_per_write,
    if(unpriced > 0 AND unpriced = requests, NULL, round(sumIf(cost_nanos, is_now) / 1e9, 4)) AS usd,
    round(sumIf(recomputed_nanos, is_now) / 1e9, 4) AS recomputed_usd,
    sumIf(costless, is_now) AS unpriced,
    round(100 * sumIf(cached, NOT is_now) / nullIf(sumIf(plain + cached + written, NOT is_now), 0), 1) AS before
FROM spent
GROUP BY value
HAVING requests > 0
ORDER BY usd DESC, value
