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
example: {tool: Bash, accepted: 210, rejected: 14, accept_percent: 93.8, for_good: 31, by_config_accepted: 900, by_config_rejected: 3, by_hook_accepted: 0, by_hook_rejected: 12, sessions: 40}
*/
WITH startsWith(decision_source, 'user_') AS is_persons
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
    uniqExactIf(cityHash64(session_id), is_persons) AS sessions
FROM telemetry_events
WHERE event_type = 'tool_decision' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
GROUP BY tool
ORDER BY accepted + rejected DESC, by_config_accepted DESC, tool
