/*
question: Where do errors come from?
topic: errors
needs: [events, tool-details]
note: >
  Error analysis: count the failures by category, read samples of the largest (error_samples), fix that one first, and ask again.
  Recovered means that the same thing worked later in the session: the same tool (of the same MCP server, with the same program, where that is
  sent), the same kind of request to the same model. TelemetrySafeError is the client's own word for an error that it does not describe.
empty: 'nothing failed in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  category: what failed, and how
  failures: how many in the period
  percent: their share of all failures
  cumulative_percent: the share of this category and all larger ones
  before: how many in the period of the same length before; empty when nothing was recorded then
  change_percent: how much more or fewer; empty without one before
  sessions: sessions that met it
  users: users who did
  recovered_percent: failures after which the same thing worked, in the session; empty when that cannot be told
  last_seen: when it happened last, UTC
  sample: the latest message, redacted, cut to its first line
wide: [last_seen, users, before, cumulative_percent, change_percent]
example: {category: tool Bash ShellError, failures: 41, percent: 52.6, cumulative_percent: 52.6, before: 30, change_percent: 36.7, sessions: 12, users: 7, recovered_percent: 95.1, last_seen: '2026-11-22 17:02:11', sample: Command failed with exit code 1}
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
        SELECT failure AS category, sum(failures) AS number
        FROM telemetry_hourly
        WHERE failure != '' AND hour >= begins_before AND hour < begins
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
        GROUP BY category
    ),
    failed AS (
        SELECT
            failure AS category, session_id, user_id, timestamp, tried_id, concat(api_error_message, error_message) AS message
        FROM telemetry_events
        WHERE failure != '' AND timestamp >= begins AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({model:String} = '' OR telemetry_events.model = {model:String})
    ),
    worked AS (
        SELECT tried_id, max(timestamp) AS succeeded
        FROM telemetry_events
        WHERE failure = '' AND event_type != 'api_retries_exhausted' AND timestamp >= begins
            AND timestamp < ends + toIntervalDay(1)
            AND tried_id IN (SELECT tried_id FROM failed WHERE tried_id != 0)
        GROUP BY tried_id
    ),
    now AS (
        SELECT
            category,
            count() AS failures,
            uniqExact(cityHash64(session_id)) AS sessions,
            uniqExact(cityHash64(user_id)) AS users,
            round(100 * countIf(succeeded > timestamp) / nullIf(countIf(tried_id != 0), 0), 1) AS recovered_percent,
            toDateTime(max(timestamp), 'UTC') AS last_seen,
            argMax(message, (message != '', timestamp)) AS sample
        FROM failed
        LEFT JOIN worked USING (tried_id)
        GROUP BY category
    )
SELECT
    category,
    failures,
    round(100 * failures / sum(failures) OVER (), 1) AS percent,
    round(100 * sum(failures) OVER (ORDER BY failures DESC, category) / sum(failures) OVER (), 1) AS cumulative_percent,
    if(was_recorded, earlier.number, NULL) AS before,
    round(100 * (failures - before) / nullIf(before, 0), 1) AS change_percent,
    sessions,
    users,
    recovered_percent,
    last_seen,
    sample
FROM now
LEFT JOIN earlier USING (category)
ORDER BY failures DESC, category
