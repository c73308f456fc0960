/*
question: Which versions of which client are in use, and where?
topic: people
needs: [events]
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  service: claude-code, claude-code-desktop or cowork
  version: the client's version
  terminal: where it runs
  sessions: sessions of it
  users: people with one
  failures_per_session: failures in one, on average
  last_seen: when the last event was, UTC
example: {service: claude-code, version: 2.1.197, terminal: vscode, sessions: 88, users: 31, failures_per_session: 1.2, last_seen: '2026-11-22 17:02:11'}
*/
WITH merged AS (
    SELECT
        session_id,
        max(service_name) AS service,
        max(service_version) AS version,
        max(terminal_type) AS terminal,
        max(user_id) AS user,
        max(team) AS team_name,
        max(project) AS project_name,
        sum(failures) AS failed,
        min(started) AS begun,
        max(ended) AS last
    FROM telemetry_sessions
    WHERE day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
    GROUP BY session_id
    HAVING last >= {from:DateTime('UTC')} AND begun < {to:DateTime('UTC')}
)
SELECT
    service,
    version,
    terminal,
    count() AS sessions,
    uniqExact(user) AS users,
    round(avg(failed), 1) AS failures_per_session,
    toDateTime(max(last), 'UTC') AS last_seen
FROM merged
WHERE ({team:String} = '' OR team_name = {team:String}) AND ({project:String} = '' OR project_name = {project:String})
GROUP BY service, version, terminal
ORDER BY sessions DESC, service, version DESC, terminal
