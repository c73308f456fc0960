/*
question: How long do hooks take, and what do they block?
topic: tools
needs: [events]
empty: 'no hook ran in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  event: what the hook waits for
  hook: its name, with the tool that it watches
  runs: how often it ran
  hooks: commands that ran in all
  blocked: runs in which a command refused
  blocked_percent: their share
  errors: commands that failed without blocking
  cancelled: commands that were stopped
  p50_ms: half of the runs took no longer
  p95_ms: nineteen of twenty took no longer
  minutes: the time that all of them took, for which people waited
  sessions: sessions in which it ran
  before: 'minutes in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
  before_p95_ms: what nineteen of twenty took no longer than in the period before
wide: [before, change_percent, before_p95_ms]
example: {event: PreToolUse, hook: 'PreToolUse:Bash', runs: 900, hooks: 1800, blocked: 12, blocked_percent: 1.3, errors: 3, cancelled: 0, p50_ms: 42, p95_ms: 310, minutes: 1.2, sessions: 40, before: 1.1, change_percent: 9.1, before_p95_ms: 290}
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
    attributes['hook_event'] AS event,
    attributes['hook_name'] AS hook,
    countIf(is_now) AS runs,
    sumIf(toUInt64OrZero(attributes['num_hooks']), is_now) AS hooks,
    countIf(decision = 'block' AND is_now) AS blocked,
    round(100 * blocked / runs, 1) AS blocked_percent,
    sumIf(toUInt64OrZero(attributes['num_non_blocking_error']), is_now) AS errors,
    sumIf(toUInt64OrZero(attributes['num_cancelled']), is_now) AS cancelled,
    if(empty(took), NULL, round(took[1])) AS p50_ms,
    if(empty(took), NULL, round(took[2])) AS p95_ms,
    round(ifNull(sumIf(duration_ms, is_now), 0) / 60000, 2) AS minutes,
    uniqExactIf(cityHash64(session_id), is_now) AS sessions,
    if(was_recorded, round(ifNull(sumIf(duration_ms, NOT is_now), 0) / 60000, 2), NULL) AS before,
    round(100 * (minutes - before) / nullIf(before, 0), 1) AS change_percent,
    round(quantileExactOrNullIf(0.95)(duration_ms, NOT is_now)) AS before_p95_ms
FROM telemetry_events
WHERE event_type = 'hook_execution_complete' AND timestamp >= begins_before AND timestamp < ends
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
GROUP BY event, hook
HAVING runs > 0
ORDER BY minutes DESC, runs DESC, event, hook
