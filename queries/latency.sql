/*
question: How long do model requests take, and how long is it to the first token?
topic: speed
needs: [events, traces]
note: >
  The time to the first token is in spans, which clients send when traces are switched on.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  model: the model's name
  requests: model requests that succeeded
  p50_ms: half took no longer
  p95_ms: nineteen of twenty took no longer
  p99_ms: ninety-nine of a hundred took no longer
  tokens_per_second: output tokens for each second of all requests
  measured: requests whose time to the first token is known
  ttft_p50_ms: for half of these the first token came no later
  ttft_p95_ms: for nineteen of twenty
  before: 'p95_ms in the period of the same length before; empty without requests then'
  change_percent: how much more or less; empty without one before
  before_ttft_p95_ms: ttft_p95_ms in the period before
wide: [before, change_percent, before_ttft_p95_ms]
example: {model: claude-opus-4-8, requests: 318, p50_ms: 5100, p95_ms: 24000, p99_ms: 51000, tokens_per_second: 61.2, measured: 318, ttft_p50_ms: 820, ttft_p95_ms: 2900, before: 22100, change_percent: 8.6, before_ttft_p95_ms: 2700}
*/
WITH
    toStartOfHour({from:DateTime('UTC')}) AS begins,
    toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599)) AS ends,
    toDateTime(greatest(0, 2 * toUnixTimestamp(begins) - toUnixTimestamp(ends)), 'UTC') AS begins_before,
    quantilesExactOrNullIf(0.5, 0.95, 0.99)(duration_ms, is_now) AS took,
    quantilesExactOrNullIf(0.5, 0.95)(ttft_ms, is_now) AS waited
SELECT
    replaceOne(sent.model, '[1m]', '') AS model,
    countIf(is_event AND is_now) AS requests,
    if(empty(took), NULL, round(took[1])) AS p50_ms,
    if(empty(took), NULL, round(took[2])) AS p95_ms,
    if(empty(took), NULL, round(took[3])) AS p99_ms,
    round(1000 * sumIf(output_tokens, is_now) / sumIf(duration_ms, is_now), 1) AS tokens_per_second,
    countIf(ttft_ms IS NOT NULL AND is_now) AS measured,
    if(empty(waited), NULL, round(waited[1])) AS ttft_p50_ms,
    if(empty(waited), NULL, round(waited[2])) AS ttft_p95_ms,
    round(quantileExactOrNullIf(0.95)(duration_ms, NOT is_now AND duration_ms IS NOT NULL)) AS before,
    round(100 * (p95_ms - before) / nullIf(before, 0), 1) AS change_percent,
    round(quantileExactOrNullIf(0.95)(ttft_ms, NOT is_now AND ttft_ms IS NOT NULL)) AS before_ttft_p95_ms
FROM (
    SELECT model, true AS is_event, duration_ms, ttft_ms, output_tokens, timestamp >= begins AS is_now
    FROM telemetry_events
    WHERE event_type = 'api_request' AND timestamp >= begins_before AND timestamp < ends
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
        AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({model:String} = '' OR telemetry_events.model = {model:String})
    UNION ALL
    SELECT model, false, NULL, ttft_ms, NULL, timestamp >= begins
    FROM telemetry_spans
    WHERE span_type = 'llm_request' AND ttft_ms IS NOT NULL AND timestamp >= begins_before AND timestamp < ends
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
        AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String})) AND ({model:String} = '' OR replaceOne(telemetry_spans.model, '[1m]', '') = replaceOne({model:String}, '[1m]', ''))
) AS sent
GROUP BY model
HAVING countIf(is_now) > 0
ORDER BY requests DESC, model
