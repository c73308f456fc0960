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
        FROM telemetry_hourly
        WHERE hour >= begins_before AND hour < begins
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
    ) AS was_recorded,
    earlier AS (
        SELECT
            tool_name,
            countIf(startsWith(decision_source, 'user_') AND decision = 'reject') AS number,
            countIf(startsWith(decision_source, 'user_') AND decision = 'accept') AS allowed
        FROM telemetry_events
        WHERE event_type = 'tool_decision' AND timestamp >= begins_before AND timestamp < begins
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY tool_name
    ),
    startsWith(decision_source, 'user_') AS is_persons
SELECT
    tool_name AS tool,
    countIf(is_persons AND decision = 'accept') AS accepted,
    countIf(is_persons AND decision = 'reject') AS rejected,
    round(100 * accepted / nullIf(accepted + rejected, 0), 1) AS accept_percent,
    countIf(decision_source = 'user_permanent' AND decision = 'accept') AS for_good,
    countIf(decision_source = 'config' AND decision = 'accept') AS by_config_accepted,
    countIf(decision_source = 'config' AND decision = 'reject') AS by_config_rejected,
    countIf(decision_source = 'hook' AND decision = 'accept') AS by_hook_accepted,
    countIf(decision_source = 'hook' AND decision = 'reject') AS by_hook_rejected,
    uniqExactIf(cityHash64(session_id), is_persons) AS sessions,
    if(was_recorded, any(earlier.number), NULL) AS before,
    round(100 * (rejected - before) / nullIf(before, 0), 1) AS change_percent,
    round(100 * any(earlier.allowed) / nullIf(any(earlier.allowed) + any(earlier.number), 0), 1) AS before_percent
FROM telemetry_events
LEFT JOIN earlier USING (tool_name)
WHERE event_type = 'tool_decision' AND timestamp >= begins AND timestamp < ends
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
GROUP BY tool
ORDER BY accepted + rejected DESC, by_config_accepted DESC, tool
