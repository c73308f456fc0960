/*
question: What happened that a security review would want to see?
topic: security
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  limit: {default: 200, meaning: 'how many, the latest first'}
columns:
  time: when it happened, UTC
  kind: 'permissions bypassed: a session went into that mode; mode changed: into another mode that asks less; refused by a person, refused by a rule, refused by a hook: a tool call; blocked by a hook: hooks stopped something; unofficial plugin: one was installed or loaded that is not from the official marketplace; login: one that failed, or a logout; request refused: the model declined'
  what: the tool and its program, the mode, the plugin
  user: whose session it was
  team: their team
  session: the session
  version: the client's version
example: {time: '2026-11-22 17:02:11', kind: refused by a person, what: Bash rm, user: 'sha256:9b1f…', team: platform, session: 6f1c0b1e-…, version: 2.1.197}
*/
WITH multiIf(
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
    toDateTime(timestamp, 'UTC') AS time,
    kind,
    trimBoth(multiIf(
        event_type = 'permission_mode_changed', concat(attributes['from_mode'], ' to ', attributes['to_mode']),
        event_type = 'tool_decision', concat(tool_name, ' ', if(command != '', command, concat(mcp_server_name, ' ', mcp_tool_name))),
        event_type = 'hook_execution_complete', attributes['hook_name'],
        event_type IN ('plugin_installed', 'plugin_loaded'), concat(if(plugin_name = '', 'third-party', plugin_name), ' ', attributes['marketplace.name']),
        event_type = 'auth', concat(attributes['action'], ' ', error_type),
        model)) AS what,
    user_id AS user,
    team,
    session_id AS session,
    service_version AS version
FROM telemetry_events
WHERE event_type IN (
        'permission_mode_changed', 'tool_decision', 'hook_execution_complete', 'plugin_installed', 'plugin_loaded', 'auth', 'api_refusal')
    AND kind != '' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
ORDER BY timestamp DESC, session, sequence DESC
LIMIT {limit:UInt64}
