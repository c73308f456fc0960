/*
question: Who uses it, for what, and how well does it go?
topic: people
needs: [events]
note: >
  Counted by whole hours.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
  limit: {default: 100, meaning: 'how many, the dearest first'}
columns:
  user: the user, as a hash when the rules hash it
  team: their team
  days: days with an event
  prompts: prompts that they wrote
  requests: model requests that succeeded
  tool_calls: tool calls that ended
  failures: failures of any kind
  failure_percent: their share of tool calls and model requests
  rejected: tool calls that were not allowed
  usd: what it cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  percent: the share of all cost
  last_seen: when the last event was, UTC
wide: [rejected, days]
example: {user: 'sha256:9b1f…', team: platform, days: 5, prompts: 120, requests: 911, tool_calls: 1400, failures: 61, failure_percent: 2.6, rejected: 9, usd: 31.2, recomputed_usd: 0, unpriced: 0, percent: 8.1, last_seen: '2026-11-22 17:02:11'}
*/
SELECT
    user_id AS user,
    max(team) AS team,
    uniqExact(toDate(hour, 'UTC')) AS days,
    sumIf(events, event_type = 'user_prompt') AS prompts,
    sumIf(events, event_type = 'api_request') AS requests,
    sumIf(events, event_type = 'tool_result') AS tool_calls,
    sum(telemetry_hourly.failures) AS failures,
    round(100 * failures / nullIf(sumIf(events, event_type IN ('tool_result', 'api_request', 'api_error')), 0), 1) AS failure_percent,
    sumIf(events, event_type = 'tool_decision' AND decision = 'reject') AS rejected,
    if(unpriced > 0 AND unpriced = requests, NULL, round(sumIf(cost_nanos, event_type = 'api_request') / 1e9, 4)) AS usd,
    round(sum(recomputed_nanos) / 1e9, 4) AS recomputed_usd,
    sum(telemetry_hourly.unpriced) AS unpriced,
    if(usd IS NULL, NULL, round(100 * sumIf(cost_nanos, event_type = 'api_request')
        / nullIf(sum(sumIf(cost_nanos, event_type = 'api_request')) OVER (), 0), 1)) AS percent,
    toDateTime(max(telemetry_hourly.last_seen), 'UTC') AS last_seen
FROM telemetry_hourly
WHERE hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
    AND ({team:String} = '' OR telemetry_hourly.team = {team:String})
    AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
GROUP BY user
ORDER BY usd DESC, user
LIMIT {limit:UInt64}
