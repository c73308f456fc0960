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
  p50_ms: half of the calls took no longer
  p95_ms: nineteen of twenty took no longer
  hours: the time that all of them took
  sessions: sessions that used it
  result_mb: megabytes that it gave back to the model
  before: 'calls in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
  before_percent: the share that failed in the period before
wide: [before, change_percent, before_percent]
example: {tool: Bash, calls: 412, failures: 41, failure_percent: 10, p50_ms: 180, p95_ms: 5200, hours: 0.4, sessions: 37, result_mb: 1.21, before: 380, change_percent: 8.4, before_percent: 8.1}
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
        SELECT tool_name, sum(failures) AS failed, sum(events) AS number
        FROM telemetry_hourly
        WHERE event_type = 'tool_result' AND hour >= begins_before AND hour < begins
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
        WHERE event_type = 'tool_result' AND timestamp >= begins AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY tool_name
    )
SELECT
    tool_name AS tool,
    calls,
    ended.failures AS failures,
    round(100 * failures / calls, 1) AS failure_percent,
    if(empty(took), NULL, round(took[1])) AS p50_ms,
    if(empty(took), NULL, round(took[2])) AS p95_ms,
    round(ifNull(ms, 0) / 3600000, 2) AS hours,
    sessions,
    round(ifNull(bytes, 0) / 1e6, 2) AS result_mb,
    if(was_recorded, earlier.number, NULL) AS before,
    round(100 * (calls - before) / nullIf(before, 0), 1) AS change_percent,
    round(100 * failed / nullIf(earlier.number, 0), 1) AS before_percent
FROM ended
LEFT JOIN earlier USING (tool_name)
ORDER BY calls DESC, tool
