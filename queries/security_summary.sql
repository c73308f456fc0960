/*
question: How often does each event that a security review looks for happen, and to how many people?
topic: security
needs: [events]
empty: 'nothing of that kind happened in this period or the one before'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  kind: 'permissions bypassed: a session went into that mode; asks less: into another mode that asks less; refused by a person, by a rule, by a hook: a tool call; blocked by a hook: hooks stopped something; unofficial plugin: one was installed or loaded that is not from the official marketplace; failed login; logout; refused by the model'
  events: how many
  before: how many in the period of the same length before; empty when nothing was recorded then
  users: people with one
  sessions: sessions with one
  last_seen: when the last was, UTC
  most_by: the user with the most
example: {kind: refused by a person, events: 31, before: 22, users: 9, sessions: 20, last_seen: '2026-11-22 17:02:11', most_by: 'sha256:9b1f…'}
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
    per_user AS (
        SELECT
            security AS kind,
            user_id,
            countIf(timestamp >= begins) AS now,
            countIf(timestamp < begins) AS earlier,
            uniqExactIf(cityHash64(session_id), timestamp >= begins) AS sessions,
            max(timestamp) AS last
        FROM telemetry_events
        WHERE security != '' AND timestamp >= begins_before AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY kind, user_id
    )
SELECT
    kind,
    sum(now) AS events,
    if(was_recorded, sum(earlier), NULL) AS before,
    countIf(now > 0) AS users,
    sum(per_user.sessions) AS sessions,
    toDateTime(max(last), 'UTC') AS last_seen,
    argMax(user_id, (now, user_id)) AS most_by
FROM per_user
GROUP BY kind
ORDER BY events DESC, before DESC, kind
