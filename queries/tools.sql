/*
question: Which tools are used, how often do they fail, and how long do they take?
topic: tools
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
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
        GROUP BY tool_name
    )
SELECT
    tool_name AS tool,
    count() AS calls,
    countIf(success = false) AS failures,
    round(100 * failures / calls, 1) AS failure_percent,
    round(100 * any(failed) / nullIf(any(ended), 0), 1) AS before_percent,
    round(quantileExactOrNull(0.5)(duration_ms)) AS p50_ms,
    round(quantileExactOrNull(0.95)(duration_ms)) AS p95_ms,
    round(ifNull(sum(duration_ms), 0) / 3600000, 2) AS hours,
    uniqExact(cityHash64(session_id)) AS sessions,
    round(ifNull(sum(result_bytes), 0) / 1e6, 2) AS result_mb
FROM telemetry_events
LEFT JOIN earlier USING (tool_name)
WHERE event_type = 'tool_result' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
GROUP BY tool
ORDER BY calls DESC, tool
