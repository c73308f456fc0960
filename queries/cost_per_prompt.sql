/*
question: Which prompts cost the most?
topic: cost
needs: [events]
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
  limit: {default: 50, meaning: how many}
columns:
  prompt: the id of the prompt
  session: its session
  user: who wrote it
  started: when its first request ended, UTC
  seconds: from there to the last
  requests: model requests that it led to
  all_tokens: input, output and cache tokens
  usd: what they cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  percent: the share of all cost
example: {prompt: 9cb9600d-…, session: 6f1c0b1e-…, user: 'sha256:9b1f…', started: '2026-11-22 09:14:03', seconds: 410, requests: 44, all_tokens: 4120000, usd: 3.1, recomputed_usd: 0, unpriced: 0, percent: 0.4}
*/
WITH dearest AS (
    SELECT prompt_id, sum(ifNull(cost_nanos, 0)) AS nanos, sum(nanos) OVER () AS all_nanos
    FROM telemetry_events
    WHERE event_type = 'api_request' AND prompt_id != '' AND timestamp >= toStartOfHour({from:DateTime('UTC')}) AND timestamp < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
        AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({model:String} = '' OR telemetry_events.model = {model:String})
    GROUP BY prompt_id
    ORDER BY round(nanos / 1e9, 4) DESC, prompt_id
    LIMIT {limit:UInt64}
)
SELECT
    prompt_id AS prompt,
    any(session_id) AS session,
    any(user_id) AS user,
    toDateTime(min(timestamp), 'UTC') AS started,
    dateDiff('second', min(timestamp), max(timestamp)) AS seconds,
    count() AS requests,
    sum(ifNull(input_tokens, 0) + ifNull(output_tokens, 0) + ifNull(cache_read_tokens, 0) + ifNull(cache_creation_tokens, 0)) AS all_tokens,
    if(unpriced = requests, NULL, round(any(nanos) / 1e9, 4)) AS usd,
    round(sumIf(ifNull(cost_nanos, 0), cost_source = 'recomputed') / 1e9, 4) AS recomputed_usd,
    countIf(cost_source = 'unknown') AS unpriced,
    if(usd IS NULL, NULL, round(100 * any(nanos) / nullIf(any(all_nanos), 0), 2)) AS percent
FROM telemetry_events
INNER JOIN dearest USING (prompt_id)
WHERE event_type = 'api_request' AND timestamp >= toStartOfHour({from:DateTime('UTC')}) AND timestamp < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({model:String} = '' OR telemetry_events.model = {model:String})
GROUP BY prompt_id
ORDER BY usd DESC, prompt
