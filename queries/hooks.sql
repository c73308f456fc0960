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
example: {event: PreToolUse, hook: 'PreToolUse:Bash', runs: 900, hooks: 1800, blocked: 12, blocked_percent: 1.3, errors: 3, cancelled: 0, p50_ms: 42, p95_ms: 310, minutes: 1.2, sessions: 40}
*/
WITH quantilesExactOrNull(0.5, 0.95)(duration_ms) AS took
SELECT
    attributes['hook_event'] AS event,
    attributes['hook_name'] AS hook,
    count() AS runs,
    sum(toUInt64OrZero(attributes['num_hooks'])) AS hooks,
    countIf(decision = 'block') AS blocked,
    round(100 * blocked / runs, 1) AS blocked_percent,
    sum(toUInt64OrZero(attributes['num_non_blocking_error'])) AS errors,
    sum(toUInt64OrZero(attributes['num_cancelled'])) AS cancelled,
    if(empty(took), NULL, round(took[1])) AS p50_ms,
    if(empty(took), NULL, round(took[2])) AS p95_ms,
    round(ifNull(sum(duration_ms), 0) / 60000, 2) AS minutes,
    uniqExact(cityHash64(session_id)) AS sessions
FROM telemetry_events
WHERE event_type = 'hook_execution_complete' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
GROUP BY event, hook
ORDER BY minutes DESC, runs DESC, event, hook
