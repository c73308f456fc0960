/*
question: Which model requests fail, with which status?
topic: errors
needs: [events, traces]
note: >
  A request that was answered at a later try is known from traces alone: it is no error, and has a row without a code.
empty: 'no request failed in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  code: 'the HTTP status, or the kind of error; empty: answered at a later try'
  model: the model's name
  errors: requests that failed for good
  answered: requests that were answered at a later try
  percent: their share of all requests for that model
  attempts: how often one was tried, on average
  retries_exhausted: those that were tried more than once
  p95_ms: how long nineteen of twenty took at most
  sessions: sessions that met it
  last_seen: when it happened last, UTC
  sample: the latest message, redacted
  before: 'how many of either in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent, retries_exhausted, percent, p95_ms, sessions, last_seen]
example: {code: '529', model: claude-opus-4-8, errors: 12, answered: 0, percent: 0.8, attempts: 10.2, retries_exhausted: 11, p95_ms: 61200, sessions: 4, last_seen: '2026-11-22 17:02:11', sample: Overloaded, before: 9, change_percent: 33.3}
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
        SELECT api_error_code AS code, replaceOne(telemetry_events.model, '[1m]', '') AS name, count() AS number
        FROM telemetry_events
        WHERE event_type = 'api_error' AND timestamp >= begins_before AND timestamp < begins
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({model:String} = '' OR telemetry_events.model = {model:String})
        GROUP BY code, name
        UNION ALL
        SELECT '' AS code, replaceOne(telemetry_spans.model, '[1m]', '') AS name, count() AS number
        FROM telemetry_spans
        WHERE span_type = 'llm_request' AND attempt > 1 AND ifNull(success, true) AND timestamp >= begins_before AND timestamp < begins
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String})) AND ({model:String} = '' OR replaceOne(telemetry_spans.model, '[1m]', '') = replaceOne({model:String}, '[1m]', ''))
        GROUP BY code, name
    ),
    requests AS (
        SELECT replaceOne(model, '[1m]', '') AS name, sum(events) AS sent
        FROM telemetry_hourly
        WHERE hour >= begins AND hour < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
            AND event_type IN ('api_request', 'api_error')
        GROUP BY name
    ),
    found AS (
        SELECT
            event_type, api_error_code AS code, replaceOne(telemetry_events.model, '[1m]', '') AS name, attempt, duration_ms,
            session_id, timestamp, api_error_message AS message
        FROM telemetry_events
        WHERE timestamp >= begins AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({model:String} = '' OR telemetry_events.model = {model:String})
            AND event_type IN ('api_error', 'api_retries_exhausted')
        UNION ALL
        SELECT
            'answered', '', replaceOne(telemetry_spans.model, '[1m]', ''), attempt, duration_ms, session_id, timestamp, ''
        FROM telemetry_spans
        WHERE span_type = 'llm_request' AND attempt > 1 AND ifNull(success, true)
            AND timestamp >= begins AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String})) AND ({model:String} = '' OR replaceOne(telemetry_spans.model, '[1m]', '') = replaceOne({model:String}, '[1m]', ''))
    )
SELECT
    code,
    name AS model,
    countIf(event_type = 'api_error') AS errors,
    countIf(event_type = 'answered') AS answered,
    round(100 * errors / any(sent), 2) AS percent,
    round(avgOrNullIf(attempt, event_type IN ('api_error', 'answered')), 1) AS attempts,
    countIf(event_type = 'api_retries_exhausted') AS retries_exhausted,
    round(quantileExactIfOrNull(0.95)(
        duration_ms, event_type IN ('api_error', 'answered') AND duration_ms IS NOT NULL)) AS p95_ms,
    uniqExact(cityHash64(session_id)) AS sessions,
    toDateTime(max(timestamp), 'UTC') AS last_seen,
    argMax(message, (message != '', timestamp)) AS sample,
    if(was_recorded, any(earlier.number), NULL) AS before,
    round(100 * ((errors + answered) - before) / nullIf(before, 0), 1) AS change_percent
FROM found
LEFT JOIN requests USING (name)
LEFT JOIN earlier USING (code, name)
GROUP BY code, name
ORDER BY errors DESC, answered DESC, code, model
