/*
question: How do failures develop, day by day?
topic: errors
needs: [events]
empty: 'nothing failed in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  day: the day, UTC
  category: what failed, and how
  failures: how many
  events_percent: their share of all tool calls and model requests of that day
example: {day: '2026-11-22', category: tool Bash ShellError, failures: 12, events_percent: 0.9}
*/
WITH hours AS (
    SELECT toDate(hour, 'UTC') AS day, failure, event_type, failures, events
    FROM telemetry_hourly
    WHERE hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
        AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
)
SELECT
    day,
    failure AS category,
    sum(hours.failures) AS failures,
    round(100 * failures / any(attempts), 2) AS events_percent
FROM hours
LEFT JOIN (
    SELECT day, sum(events) AS attempts
    FROM hours
    WHERE event_type IN ('tool_result', 'api_request', 'api_error')
    GROUP BY day
) AS days USING (day)
WHERE failure != ''
GROUP BY day, category
ORDER BY day, failures DESC, category
