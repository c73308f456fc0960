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
  before: 'sessions in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent]
example: {service: claude-code, version: 2.1.197, terminal: vscode, sessions: 88, users: 31, failures_per_session: 1.2, last_seen: '2026-11-22 17:02:11', before: 61, change_percent: 44.3}
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
            AND ({team:String} = '' OR team = {team:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
    ) AS was_recorded,
    merged AS (
        SELECT
            session_id,
            max(service_name) AS service,
            max(service_version) AS version,
            max(terminal_type) AS terminal,
            max(user_id) AS user,
            max(team) AS team_name,
            max(project) AS project_name,
            sumIf(failures, is_now) AS failed,
            max(ended) AS last,
            -- As in the other questions, a session is in each period that it touches.
            countIf(is_now) > 0 AND last >= begins AND minIf(started, is_now) < ends AS was_now,
            countIf(is_then) > 0 AND maxIf(ended, is_then) >= begins_before AND minIf(started, is_then) < begins AS was_then
        FROM (
            SELECT
                *,
                day >= toDate(begins) AND day <= toDate(ends - toIntervalSecond(1)) AS is_now,
                day >= toDate(begins_before) AND day <= toDate(begins - toIntervalSecond(1)) AS is_then
            FROM telemetry_sessions
            WHERE day >= toDate(begins_before) AND day <= toDate(ends - toIntervalSecond(1))
        ) AS days
        GROUP BY session_id
    )
SELECT
    service,
    version,
    terminal,
    countIf(was_now) AS sessions,
    uniqExactIf(user, was_now) AS users,
    round(avgIf(failed, was_now), 1) AS failures_per_session,
    toDateTime(maxIf(last, was_now), 'UTC') AS last_seen,
    if(was_recorded, countIf(was_then), NULL) AS before,
    round(100 * (sessions - before) / nullIf(before, 0), 1) AS change_percent
FROM merged
WHERE ({team:String} = '' OR team_name = {team:String}) AND ({project:String} = '' OR project_name = {project:String})
GROUP BY service, version, terminal
HAVING sessions > 0
ORDER BY sessions DESC, service, version DESC, terminal
