/*
question: Which tools are used, how often do they fail, and how long do they take?
topic: tools
needs: [events]
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  tool: the tool's name
  calls: calls that ended; a rejected call is none
  failures: calls that failed
  failure_percent: their share
  before_percent: the share that failed in the period of the same length before
  p50_ms: half of the calls took no longer
  p95_ms: nineteen of twenty took no longer
  hours: the time that all of them took
  sessions: sessions that used it
  result_mb: megabytes that it gave back to the model
example: {tool: Bash, calls: 412, failures: 41, failure_percent: 10, before_percent: 8.1, p50_ms: 180, p95_ms: 5200, hours: 0.4, sessions: 37, result_mb: 1.21}
*/
WITH
    toDateTime({from:DateTime('UTC')}) AS begins,
    begins - dateDiff('second', begins, {to:DateTime('UTC')}) AS begins_before,
    earlier AS (
        SELECT tool_name, sum(failures) AS failed, sum(events) AS ended
        FROM telemetry_hourly
        WHERE event_type = 'tool_result' AND hour >= toStartOfHour(begins_before) AND hour < toStartOfHour(begins)
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
        GROUP BY tool_name
    ),
    ended AS (
        SELECT
            tool_name,
            count() AS calls,
            countIf(success = false) AS failures,
            quantilesExactOrNull(0.5, 0.95)(duration_ms) AS took,
            sum(duration_ms) AS ms,
            uniqExact(cityHash64(session_id)) AS sessions,
            sum(result_bytes) AS bytes
        FROM telemetry_events
        WHERE event_type = 'tool_result' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY tool_name
    )
SELECT
    tool_name AS tool,
    calls,
    ended.failures AS failures,
    round(100 * failures / calls, 1) AS failure_percent,
    round(100 * failed / nullIf(earlier.ended, 0), 1) AS before_percent,
    if(empty(took), NULL, round(took[1])) AS p50_ms,
    if(empty(took), NULL, round(took[2])) AS p95_ms,
    round(ifNull(ms, 0) / 3600000, 2) AS hours,
    sessions,
    round(ifNull(bytes, 0) / 1e6, 2) AS result_mb
FROM ended
LEFT JOIN earlier USING (tool_name)
ORDER BY calls DESC, tool
