/*
question: Which programs do the shell tools run, and which of them fail?
topic: tools
needs: [events, tool-details]
note: >
  Clients send commands with OTEL_LOG_TOOL_DETAILS=1; all but the first word is hashed.
empty: 'no program of a shell tool is known in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  program: the first word of the command
  calls: how often it ran
  failures: how often it failed
  failure_percent: the share that failed
  p50_ms: half took no longer
  p95_ms: nineteen of twenty took no longer
  hours: the time that all of them took
  sessions: sessions that ran it
  before: 'how often it ran in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
  before_percent: the share that failed in the period before
wide: [before, change_percent, before_percent]
example: {program: pytest, calls: 140, failures: 21, failure_percent: 15, p50_ms: 4100, p95_ms: 39000, hours: 0.6, sessions: 12, before: 120, change_percent: 16.7, before_percent: 12.5}
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
    timestamp >= begins AS is_now,
    quantilesExactOrNullIf(0.5, 0.95)(duration_ms, is_now) AS took
SELECT
    command AS program,
    countIf(is_now) AS calls,
    countIf(success = false AND is_now) AS failures,
    round(100 * failures / calls, 1) AS failure_percent,
    if(empty(took), NULL, round(took[1])) AS p50_ms,
    if(empty(took), NULL, round(took[2])) AS p95_ms,
    round(ifNull(sumIf(duration_ms, is_now), 0) / 3600000, 2) AS hours,
    uniqExactIf(cityHash64(session_id), is_now) AS sessions,
    if(was_recorded, countIf(NOT is_now), NULL) AS before,
    round(100 * (calls - before) / nullIf(before, 0), 1) AS change_percent,
    round(100 * countIf(success = false AND NOT is_now) / nullIf(countIf(NOT is_now), 0), 1) AS before_percent
FROM telemetry_events
WHERE event_type = 'tool_result' AND command != '' AND timestamp >= begins_before AND timestamp < ends
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
GROUP BY program
HAVING calls > 0
ORDER BY calls DESC, program
