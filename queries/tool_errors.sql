/*
question: How does each tool fail?
topic: tools
needs: [events, tool-details]
empty: 'no tool failed in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  tool: {default: '', meaning: 'one tool only; empty: all'}
columns:
  tool: the tool's name
  error_type: the kind of error
  program: what a shell tool ran, where that was sent
  failures: how many
  percent_of_tool: their share of the tool's failures
  failure_percent: their share of the tool's calls
  sessions: sessions that met it
  last_seen: when it happened last, UTC
  sample: the latest message, redacted
  before: 'how many in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent, last_seen, percent_of_tool]
example: {tool: Bash, error_type: ShellError, program: pytest, failures: 21, percent_of_tool: 51.2, failure_percent: 5.1, sessions: 9, last_seen: '2026-11-22 17:02:11', sample: Command failed with exit code 1, before: 14, change_percent: 50}
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
        SELECT tool_name, error_type, command, count() AS number
        FROM telemetry_events
        WHERE event_type = 'tool_result' AND success = false AND timestamp >= begins_before AND timestamp < begins
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY tool_name, error_type, command
    ),
    ended AS (
        SELECT tool_name, sum(events) AS calls, sum(failures) AS failed
        FROM telemetry_hourly
        WHERE event_type = 'tool_result' AND hour >= begins AND hour < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
        GROUP BY tool_name
    )
SELECT
    tool_name AS tool,
    error_type,
    command AS program,
    count() AS failures,
    round(100 * failures / any(failed), 1) AS percent_of_tool,
    round(100 * failures / any(calls), 1) AS failure_percent,
    uniqExact(cityHash64(session_id)) AS sessions,
    toDateTime(max(timestamp), 'UTC') AS last_seen,
    argMax(error_message, (error_message != '', timestamp)) AS sample,
    if(was_recorded, any(earlier.number), NULL) AS before,
    round(100 * (failures - before) / nullIf(before, 0), 1) AS change_percent
FROM telemetry_events
LEFT JOIN ended USING (tool_name)
LEFT JOIN earlier USING (tool_name, error_type, command)
WHERE event_type = 'tool_result' AND success = false AND timestamp >= begins AND timestamp < ends
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
    AND ({tool:String} = '' OR tool_name = {tool:String})
GROUP BY tool, error_type, program
ORDER BY failures DESC, tool, error_type, program
