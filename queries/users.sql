/*
question: Who uses it, for what, and how well does it go?
topic: people
needs: [events]
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
  before: 'usd in the period of the same length before; empty when that is not known or nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent, rejected, days]
example: {user: 'sha256:9b1f…', team: platform, days: 5, prompts: 120, requests: 911, tool_calls: 1400, failures: 61, failure_percent: 2.6, rejected: 9, usd: 31.2, recomputed_usd: 0, unpriced: 0, percent: 8.1, last_seen: '2026-11-22 17:02:11', before: 4.1, change_percent: 12.2}
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
                AND ({team:String} = '' OR telemetry_hourly.team = {team:String})
                AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
            LIMIT 1
        )
    ) AS was_recorded,
    earlier AS (
        SELECT
            user_id,
            sum(telemetry_hourly.unpriced) AS unknown,
            -- Not nullable: without requests before it is 0, and -1 where their cost is not known.
            if(unknown > 0 AND unknown = sum(telemetry_hourly.events), -1, round(sum(cost_nanos) / 1e9, 4)) AS number
        FROM telemetry_hourly
        WHERE event_type = 'api_request' AND hour >= begins_before AND hour < begins
            AND ({team:String} = '' OR telemetry_hourly.team = {team:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
        GROUP BY user_id
    )
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
    toDateTime(max(telemetry_hourly.last_seen), 'UTC') AS last_seen,
    if(was_recorded AND any(earlier.number) >= 0, any(earlier.number), NULL) AS before,
    round(100 * (usd - before) / nullIf(before, 0), 1) AS change_percent
FROM telemetry_hourly
LEFT JOIN earlier USING (user_id)
WHERE hour >= begins AND hour < ends
    AND ({team:String} = '' OR telemetry_hourly.team = {team:String})
    AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
GROUP BY user
ORDER BY usd DESC, user
LIMIT {limit:UInt64}
