/*
question: How often does each kind of thing happen that a security review would want to see, and by how many people?
topic: security
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
columns:
  kind: as `security` names it
  events: how many
  before: how many in the period of the same length before
  users: people with one
  sessions: sessions with one
  last_seen: when the last was, UTC
  most_by: the user with the most
example: {kind: refused by a person, events: 31, before: 22, users: 9, sessions: 20, last_seen: '2026-11-22 17:02:11', most_by: 'sha256:9b1f…'}
*/
WITH
    toDateTime({from:DateTime('UTC')}) AS begins,
    begins - dateDiff('second', begins, {to:DateTime('UTC')}) AS begins_before,
    multiIf(
        event_type = 'permission_mode_changed' AND attributes['to_mode'] = 'bypassPermissions', 'permissions bypassed',
        event_type = 'permission_mode_changed' AND attributes['to_mode'] IN ('acceptEdits', 'auto', 'dontAsk'), 'mode changed',
        event_type = 'tool_decision' AND decision = 'reject' AND startsWith(decision_source, 'user_'), 'refused by a person',
        event_type = 'tool_decision' AND decision = 'reject' AND decision_source = 'hook', 'refused by a hook',
        event_type = 'tool_decision' AND decision = 'reject', 'refused by a rule',
        event_type = 'hook_execution_complete' AND toUInt64OrZero(attributes['num_blocking']) > 0, 'blocked by a hook',
        event_type = 'plugin_installed' AND attributes['marketplace.is_official'] != 'true', 'unofficial plugin',
        event_type = 'plugin_loaded' AND attributes['plugin.scope'] NOT IN ('', 'official', 'default-bundle'), 'unofficial plugin',
        event_type = 'auth' AND (success = false OR attributes['action'] = 'logout'), 'login',
        event_type = 'api_refusal', 'request refused',
        '') AS kind
SELECT
    kind,
    countIf(timestamp >= begins) AS events,
    countIf(timestamp < begins) AS before,
    uniqExactIf(user_id, timestamp >= begins) AS users,
    uniqExactIf(session_id, timestamp >= begins) AS sessions,
    toDateTime(max(timestamp), 'UTC') AS last_seen,
    topKIf(1)(user_id, timestamp >= begins)[1] AS most_by
FROM telemetry_events
WHERE event_type IN (
        'permission_mode_changed', 'tool_decision', 'hook_execution_complete', 'plugin_installed', 'plugin_loaded', 'auth', 'api_refusal')
    AND kind != '' AND timestamp >= begins_before AND timestamp < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
GROUP BY kind
ORDER BY events DESC, kind
