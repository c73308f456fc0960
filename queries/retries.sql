/*
question: After the last retry failed, did the session recover?
topic: errors
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
columns:
  code: the HTTP status, or the kind of error
  model: the model's name
  exhausted: requests whose last retry failed
  attempts: how often one was tried, on average
  minutes_waited: the time that all of them took
  sessions: sessions that met it
  recovered: those in which something succeeded afterwards
  recovered_percent: their share
example: {code: '529', model: claude-opus-4-8, exhausted: 11, attempts: 10.6, minutes_waited: 14.2, sessions: 4, recovered: 3, recovered_percent: 75}
*/
WITH successes AS (
    SELECT session_id, max(last_success) AS succeeded
    FROM telemetry_sessions
    WHERE day >= toDate({from:DateTime('UTC')}) AND retries_exhausted > 0
    GROUP BY session_id
)
SELECT
    code,
    model,
    sum(times) AS exhausted,
    round(sum(tries) / sum(times), 1) AS attempts,
    round(sum(waited) / 60000, 1) AS minutes_waited,
    count() AS sessions,
    countIf(succeeded > last) AS recovered,
    round(100 * recovered / sessions, 1) AS recovered_percent
FROM (
    SELECT
        api_error_code AS code,
        replaceOne(telemetry_events.model, '[1m]', '') AS model,
        session_id,
        count() AS times,
        sum(attempt) AS tries,
        sum(duration_ms) AS waited,
        max(timestamp) AS last
    FROM telemetry_events
    WHERE event_type = 'api_retries_exhausted' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    GROUP BY code, model, session_id
) AS exhausted
LEFT JOIN successes USING (session_id)
GROUP BY code, model
ORDER BY exhausted DESC, code, model
