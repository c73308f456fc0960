/*
question: What does each model cost, day by day?
topic: cost
needs: [events]
note: >
  From api_request events.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  day: the day, UTC
  model: the model's name
  requests: model requests that succeeded
  input_tokens: tokens sent, neither read from the cache nor written to it
  output_tokens: tokens received
  cache_read_tokens: tokens read from the cache
  cache_creation_tokens: tokens written to the cache
  usd: what they cost; empty when that is not known of any
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
example: {day: '2026-11-22', model: claude-sonnet-4-8, requests: 318, input_tokens: 91022, output_tokens: 120411, cache_read_tokens: 5120034, cache_creation_tokens: 310220, usd: 6.42, recomputed_usd: 0, unpriced: 0}
*/
SELECT
    toDate(hour, 'UTC') AS day,
    model,
    sum(events) AS requests,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_creation_tokens) AS cache_creation_tokens,
    if(unpriced > 0 AND unpriced = requests, NULL, round(sum(cost_nanos) / 1e9, 4)) AS usd,
    round(sum(recomputed_nanos) / 1e9, 4) AS recomputed_usd,
    sum(telemetry_hourly.unpriced) AS unpriced
FROM telemetry_hourly
-- The same spend also arrives as metrics and as spans: it is counted from this event alone.
WHERE event_type = 'api_request' AND hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
GROUP BY day, model
ORDER BY day, usd DESC, model
