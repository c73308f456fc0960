/*
question: What happens hour by hour?
topic: sessions
needs: [events]
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  hour: the hour, UTC
  users: people with an event in it
  prompts: prompts that people wrote
  requests: model requests that succeeded
  tool_calls: tool calls that ended
  failures: failures of any kind
  tokens: input and output tokens, without cache
  usd: what the requests cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
example: {hour: '2026-11-22 17:00:00', users: 11, prompts: 40, requests: 310, tool_calls: 402, failures: 12, tokens: 121000, usd: 3.1, recomputed_usd: 0, unpriced: 0}
*/
SELECT
    hour,
    uniqExactIf(cityHash64(user_id), user_id != '') AS users,
    sumIf(events, event_type = 'user_prompt') AS prompts,
    sumIf(events, event_type = 'api_request') AS requests,
    sumIf(events, event_type = 'tool_result') AS tool_calls,
    sum(telemetry_hourly.failures) AS failures,
    sumIf(input_tokens + output_tokens, event_type = 'api_request') AS tokens,
    if(unpriced > 0 AND unpriced = requests, NULL, round(sumIf(cost_nanos, event_type = 'api_request') / 1e9, 4)) AS usd,
    round(sum(recomputed_nanos) / 1e9, 4) AS recomputed_usd,
    sum(telemetry_hourly.unpriced) AS unpriced
FROM telemetry_hourly
WHERE hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
GROUP BY hour
ORDER BY hour
