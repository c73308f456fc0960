/*
question: Which tools do people allow, and which do they refuse?
topic: people
needs: [events]
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  tool: the tool's name
  accepted: calls that a person allowed
  rejected: calls that a person refused or dismissed
  accept_percent: the share that people allowed, of those that they were asked about
  for_good: allowed once and for all
  by_config_accepted: calls that settings, a mode or an earlier answer allowed
  by_config_rejected: calls that these refused
  by_hook_accepted: calls that a hook allowed
  by_hook_rejected: calls that a hook refused
  sessions: sessions in which people were asked
  before: 'calls that a person refused in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
  before_percent: the share that was allowed in the period before
wide: [before, change_percent, before_percent]
example: {tool: Bash, accepted: 210, rejected: 14, accept_percent: 93.8, for_good: 31, by_config_accepted: 900, by_config_rejected: 3, by_hook_accepted: 0, by_hook_rejected: 12, sessions: 40, before: 12, change_percent: 16.7, before_percent: 94.5}
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
    startsWith(decision_source, 'user_') AS is_persons,
    timestamp >= begins AS is_now,
    countIf(is_persons AND decision = 'reject' AND NOT is_now) AS rejected_before,
    countIf(is_persons AND decision = 'accept' AND NOT is_now) AS accepted_before
SELECT
    tool_name AS tool,
    countIf(is_persons AND decision = 'accept' AND is_now) AS accepted,
    countIf(is_persons AND decision = 'reject' AND is_now) AS rejected,
    round(100 * accepted / nullIf(accepted + rejected, 0), 1) AS accept_percent,
    countIf(decision_source = 'user_permanent' AND decision = 'accept' AND is_now) AS for_good,
    countIf(decision_source = 'config' AND decision = 'accept' AND is_now) AS by_config_accepted,
    countIf(decision_source = 'config' AND decision = 'reject' AND is_now) AS by_config_rejected,
    countIf(decision_source = 'hook' AND decision = 'accept' AND is_now) AS by_hook_accepted,
    countIf(decision_source = 'hook' AND decision = 'reject' AND is_now) AS by_hook_rejected,
    uniqExactIf(cityHash64(session_id), is_persons AND is_now) AS sessions,
    if(was_recorded, rejected_before, NULL) AS before,
    round(100 * (rejected - before) / nullIf(before, 0), 1) AS change_percent,
    round(100 * accepted_before / nullIf(accepted_before + rejected_before, 0), 1) AS before_percent
FROM telemetry_events
WHERE event_type = 'tool_decision' AND timestamp >= begins_before AND timestamp < ends
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
GROUP BY tool
HAVING countIf(is_now) > 0
ORDER BY accepted + rejected DESC, by_config_accepted DESC, tool
