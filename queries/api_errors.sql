/*
question: Which model requests fail, with which status?
topic: errors
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
columns:
  code: the HTTP status, or the kind of error
  model: the model's name
  errors: requests that failed for good
  percent: their share of all requests for that model
  attempts: how often one was tried, on average
  retries_exhausted: those that were tried more than once
  p95_ms: how long nineteen of twenty took at most
  sessions: sessions that met it
  last_seen: when it happened last, UTC
  sample: the latest message, redacted
example: {code: '529', model: claude-opus-4-8, errors: 12, percent: 0.8, attempts: 10.2, retries_exhausted: 11, p95_ms: 61200, sessions: 4, last_seen: '2026-11-22 17:02:11', sample: Overloaded}
*/
WITH requests AS (
    SELECT replaceOne(model, '[1m]', '') AS name, sum(events) AS sent
    FROM telemetry_hourly
    WHERE hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
        AND event_type IN ('api_request', 'api_error')
    GROUP BY name
)
SELECT
    api_error_code AS code,
    replaceOne(telemetry_events.model, '[1m]', '') AS model,
    countIf(event_type = 'api_error') AS errors,
    round(100 * errors / any(sent), 2) AS percent,
    round(avgIf(attempt, event_type = 'api_error'), 1) AS attempts,
    countIf(event_type = 'api_retries_exhausted') AS retries_exhausted,
    round(quantileExactIfOrNull(0.95)(duration_ms, event_type = 'api_error' AND duration_ms IS NOT NULL)) AS p95_ms,
    uniqExact(cityHash64(session_id)) AS sessions,
    toDateTime(max(timestamp), 'UTC') AS last_seen,
    argMax(api_error_message, (api_error_message != '', timestamp)) AS sample
FROM telemetry_events
LEFT JOIN requests ON requests.name = replaceOne(telemetry_events.model, '[1m]', '')
WHERE timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND event_type IN ('api_error', 'api_retries_exhausted')
GROUP BY code, model
ORDER BY errors DESC, code, model
