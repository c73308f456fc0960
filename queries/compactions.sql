/*
question: How often is a conversation compacted, and what does it save?
topic: sessions
needs: [events]
empty: 'no conversation was compacted in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  trigger: auto or manual
  compactions: how many
  failed: those that failed
  sessions: sessions that had one
  most_in_a_session: the most in one session; many mean that the context keeps filling up
  tokens_before: tokens before one, on average
  tokens_after: tokens after it
  saved_percent: how much smaller it made the conversation
  p50_ms: half took no longer
  p95_ms: nineteen of twenty took no longer
  before: 'how many in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent]
example: {trigger: auto, compactions: 31, failed: 1, sessions: 22, most_in_a_session: 4, tokens_before: 158020, tokens_after: 21080, saved_percent: 86.7, p50_ms: 21040, p95_ms: 48800, before: 26, change_percent: 19.2}
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
    earlier AS (
        SELECT attributes['trigger'] AS trigger, count() AS number
        FROM telemetry_events
        WHERE event_type = 'compaction' AND timestamp >= begins_before AND timestamp < begins
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY trigger
    ),
    found AS (
        SELECT
            attributes['trigger'] AS trigger,
            session_id,
            success,
            duration_ms,
            toFloat64OrNull(attributes['pre_tokens']) AS sent_before,
            toFloat64OrNull(attributes['post_tokens']) AS sent_after,
            success AND sent_before BETWEEN 1 AND 1e9 AND sent_after BETWEEN 0 AND 1e9 AS is_sized,
            count() OVER (PARTITION BY trigger, session_id) AS in_session
        FROM telemetry_events
        WHERE event_type = 'compaction' AND timestamp >= begins AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
    ),
    quantilesExactOrNull(0.5, 0.95)(duration_ms) AS took
SELECT
    trigger,
    count() AS compactions,
    countIf(success = false) AS failed,
    uniqExact(cityHash64(session_id)) AS sessions,
    max(in_session) AS most_in_a_session,
    round(avgIf(sent_before, is_sized)) AS tokens_before,
    round(avgIf(sent_after, is_sized)) AS tokens_after,
    round(100 * (1 - sumIf(sent_after, is_sized) / sumIf(sent_before, is_sized)), 1) AS saved_percent,
    if(empty(took), NULL, round(took[1])) AS p50_ms,
    if(empty(took), NULL, round(took[2])) AS p95_ms,
    if(was_recorded, any(earlier.number), NULL) AS before,
    round(100 * (compactions - before) / nullIf(before, 0), 1) AS change_percent
FROM found
LEFT JOIN earlier USING (trigger)
GROUP BY trigger
ORDER BY compactions DESC, trigger
