/*
question: What happened that a security review would want to see?
topic: security
needs: [events]
empty: 'nothing of that kind happened in this period'
parameters:
  kind: {default: '', meaning: 'a kind as `security_summary` names it; empty: all'}
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  limit: {default: 200, meaning: 'how many, the latest first'}
columns:
  time: when it happened, UTC
  kind: 'permissions bypassed: a session went into that mode; asks less: into another mode that asks less; refused by a person, by a rule, by a hook: a tool call; blocked by a hook: hooks stopped something; unofficial plugin: one was installed or loaded that is not from the official marketplace; failed login; logout; refused by the model'
  what: the tool and its program, the mode, the plugin
  user: whose session it was
  team: their team
  session: the session
  version: the client's version
example: {time: '2026-11-22 17:02:11', kind: refused by a person, what: Bash rm, user: 'sha256:9b1f…', team: platform, session: 6f1c0b1e-…, version: 2.1.197}
*/
SELECT
    toDateTime(timestamp, 'UTC') AS time,
    security AS kind,
    trimBoth(multiIf(
        event_type = 'permission_mode_changed', concat(attributes['from_mode'], ' to ', attributes['to_mode']),
        event_type = 'tool_decision', concat(tool_name, ' ', if(command != '', command, concat(mcp_server_name, ' ', mcp_tool_name))),
        event_type = 'hook_execution_complete', attributes['hook_name'],
        startsWith(event_type, 'plugin_'), concat(if(plugin_name = '', 'third-party', plugin_name), ' ', attributes['marketplace.name']),
        event_type = 'auth', error_type,
        model)) AS what,
    user_id AS user,
    team,
    session_id AS session,
    service_version AS version
FROM telemetry_events
WHERE security != '' AND timestamp >= toStartOfHour({from:DateTime('UTC')}) AND timestamp < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
    AND ({kind:String} = '' OR security = {kind:String})
ORDER BY timestamp DESC, session, sequence DESC
LIMIT {limit:UInt64}
