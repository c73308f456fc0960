/*
question: Which steps of a workflow fail, and what does each cost?
topic: errors
needs: [events]
note: >
  Set the attribute workflow.step, of the resource or of an event, to name steps of your own.
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
  before: 'usd in the period of the same length before; empty when that is not known or nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent]
example: {step: plan, events: 4100, requests: 900, failures: 21, failure_percent: 1.1, usd: 12.1, recomputed_usd: 0, unpriced: 0, percent: 7.2, before: 10.9, change_percent: 11}
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
    earlier AS (
        SELECT
            workflow_step,
            sum(telemetry_hourly.unpriced) AS unknown,
            -- Not nullable: without requests before it is 0, and -1 where their cost is not known.
            if(unknown > 0 AND unknown = sum(telemetry_hourly.events), -1, round(sum(cost_nanos) / 1e9, 4)) AS number
        FROM telemetry_hourly
        WHERE event_type = 'api_request' AND hour >= begins_before AND hour < begins
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
        GROUP BY workflow_step
    )
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
        / nullIf(sum(sumIf(cost_nanos, event_type = 'api_request')) OVER (), 0), 1)) AS percent,
    if(was_recorded AND any(earlier.number) >= 0, any(earlier.number), NULL) AS before,
    round(100 * (usd - before) / nullIf(before, 0), 1) AS change_percent
FROM telemetry_hourly
LEFT JOIN earlier USING (workflow_step)
WHERE hour >= begins AND hour < ends
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
GROUP BY step
ORDER BY usd DESC, events DESC, step
