/*
question: What was tried again, and did it work in the end?
topic: errors
needs: [events, traces]
note: >
  A request that was answered at a later try is known from traces alone. What its first tries met is not sent: its code is empty.
  Recovered means that the same kind of request to the same model was answered later in the session.
empty: 'no request was tried again in this period'
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
  exhausted: requests whose last retry failed
  answered: requests that were answered at a later try
  attempts: how often one was tried, on average
  minutes_waited: the time that all of them took
  sessions: sessions that met it
  recovered: those in which the same kind of request was answered afterwards
  recovered_percent: their share
  before: 'how many of either in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent]
example: {code: '529', model: claude-opus-4-8, exhausted: 11, answered: 0, attempts: 10.6, minutes_waited: 14.2, sessions: 4, recovered: 3, recovered_percent: 75, before: 9, change_percent: 22.2}
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
        WHERE event_type = 'api_retries_exhausted' AND timestamp >= begins_before AND timestamp < begins
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
    exhausted AS (
        SELECT
            api_error_code AS code,
            replaceOne(telemetry_events.model, '[1m]', '') AS name,
            session_id,
            tried_id,
            count() AS times,
            sum(attempt) AS tries,
            sum(duration_ms) AS waited,
            max(timestamp) AS last
        FROM telemetry_events
        WHERE event_type = 'api_retries_exhausted' AND timestamp >= begins AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({model:String} = '' OR telemetry_events.model = {model:String})
        GROUP BY code, name, session_id, tried_id
    ),
    worked AS (
        SELECT tried_id, max(timestamp) AS succeeded
        FROM telemetry_events
        WHERE event_type = 'api_request' AND timestamp >= begins
            AND timestamp < ends + toIntervalDay(1) AND tried_id IN (SELECT tried_id FROM exhausted)
        GROUP BY tried_id
    ),
    found AS (
        SELECT code, name, session_id, times, 0 AS answers, tries, waited, succeeded > last AS is_recovered
        FROM exhausted
        LEFT JOIN worked USING (tried_id)
        UNION ALL
        SELECT '', replaceOne(telemetry_spans.model, '[1m]', ''), session_id, 0, 1, attempt, duration_ms, true
        FROM telemetry_spans
        WHERE span_type = 'llm_request' AND attempt > 1 AND ifNull(success, true)
            AND timestamp >= begins AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String})) AND ({model:String} = '' OR replaceOne(telemetry_spans.model, '[1m]', '') = replaceOne({model:String}, '[1m]', ''))
    )
SELECT
    code,
    name AS model,
    sum(times) AS exhausted,
    sum(answers) AS answered,
    round(sum(tries) / (exhausted + answered), 1) AS attempts,
    round(sum(waited) / 60000, 1) AS minutes_waited,
    uniqExact(session_id) AS sessions,
    uniqExactIf(session_id, is_recovered) AS recovered,
    round(100 * recovered / sessions, 1) AS recovered_percent,
    if(was_recorded, any(earlier.number), NULL) AS before,
    round(100 * ((exhausted + answered) - before) / nullIf(before, 0), 1) AS change_percent
FROM found
LEFT JOIN earlier USING (code, name)
GROUP BY code, name
ORDER BY exhausted DESC, answered DESC, code, model
