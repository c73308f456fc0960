/*
question: Which steps of a workflow fail, and what does each cost?
topic: errors
needs: [events]
note: >
  Counted by whole hours. Set the attribute workflow.step, of the resource or of an event, to name steps of your own.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  step: the step that a team names, else where the request came from
  events: events in it
  requests: model requests that succeeded
  failures: failures of any kind
  failure_percent: their share of tool calls and model requests in it
  usd: what its requests cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  percent: the share of all cost
example: {step: plan, events: 4100, requests: 900, failures: 21, failure_percent: 1.1, usd: 12.1, recomputed_usd: 0, unpriced: 0, percent: 7.2}
*/
SELECT
    workflow_step AS step,
    sum(telemetry_hourly.events) AS events,
    sumIf(telemetry_hourly.events, event_type = 'api_request') AS requests,
    sum(telemetry_hourly.failures) AS failures,
    round(100 * failures / nullIf(sumIf(telemetry_hourly.events, event_type IN ('tool_result', 'api_request', 'api_error')), 0), 1) AS failure_percent,
    if(unpriced > 0 AND unpriced = requests, NULL, round(sumIf(cost_nanos, event_type = 'api_request') / 1e9, 4)) AS usd,
    round(sum(recomputed_nanos) / 1e9, 4) AS recomputed_usd,
    sum(telemetry_hourly.unpriced) AS unpriced,
    if(usd IS NULL, NULL, round(100 * sumIf(cost_nanos, event_type = 'api_request')
        / nullIf(sum(sumIf(cost_nanos, event_type = 'api_request')) OVER (), 0), 1)) AS percent
FROM telemetry_hourly
WHERE hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
GROUP BY step
ORDER BY usd DESC, events DESC, step
