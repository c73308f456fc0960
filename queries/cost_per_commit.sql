/*
question: What does a commit, a pull request or a line of code cost?
topic: cost
needs: [events, metrics]
note: >
  Commits, lines and active time are metrics of the client, the money is of its events.
parameters:
  by: {default: team, meaning: 'team, user, project or department'}
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  value: 'what it is grouped by; empty: not said'
  commits: commits made with Claude Code
  pull_requests: pull requests made with it
  lines_added: lines of code added
  lines_removed: lines removed
  active_hours: time that people and the client were at work
  usd: what its requests cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  usd_per_commit: cost for each commit
  usd_per_pull_request: cost for each pull request
  usd_per_100_lines: cost for a hundred lines added
  before: 'usd in the period of the same length before; empty when that is not known or nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent, usd_per_100_lines, lines_removed]
example: {value: platform, commits: 41, pull_requests: 9, lines_added: 8120, lines_removed: 2010, active_hours: 31.2, usd: 64.2, recomputed_usd: 0, unpriced: 0, usd_per_commit: 1.57, usd_per_pull_request: 7.13, usd_per_100_lines: 0.79, before: 51.1, change_percent: 25.6}
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
    counted AS (
        SELECT
            multiIf(
                {by:String} = 'team', team,
                {by:String} = 'user', user_id,
                {by:String} = 'project', project,
                {by:String} = 'department', department,
                toString(throwIf(true, 'by is one of team, user, project, department'))) AS value,
            sumIf(increment, metric = 'commit.count') AS commits,
            sumIf(increment, metric = 'pull_request.count') AS pull_requests,
            sumIf(increment, metric = 'lines_of_code.count' AND type = 'added') AS lines_added,
            sumIf(increment, metric = 'lines_of_code.count' AND type = 'removed') AS lines_removed,
            sumIf(increment, metric = 'active_time.total') AS active_seconds,
            true AS is_counted
        FROM telemetry_metric_increments_of(
            from = begins, to = ends, metrics = ['commit.count', 'pull_request.count', 'lines_of_code.count', 'active_time.total'])
        WHERE ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR project = {project:String})
        GROUP BY value
    ),
    spent AS (
        SELECT
            multiIf(
                {by:String} = 'team', team,
                {by:String} = 'user', user_id,
                {by:String} = 'project', project,
                {by:String} = 'department', department,
                '') AS value,
            sumIf(cost_nanos, hour >= begins) AS nanos,
            sumIf(recomputed_nanos, hour >= begins) AS recomputed,
            sumIf(telemetry_hourly.unpriced, hour >= begins) AS costless,
            sumIf(events, hour >= begins) AS asked,
            sumIf(cost_nanos, hour < begins) AS nanos_before,
            sumIf(telemetry_hourly.unpriced, hour < begins) AS costless_before,
            sumIf(events, hour < begins) AS asked_before
        FROM telemetry_hourly
        WHERE event_type = 'api_request' AND hour >= begins_before AND hour < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
        GROUP BY value
    )
SELECT
    value,
    commits,
    pull_requests,
    lines_added,
    lines_removed,
    round(active_seconds / 3600, 1) AS active_hours,
    if(costless > 0 AND costless = asked, NULL, round(nanos / 1e9, 4)) AS usd,
    round(recomputed / 1e9, 4) AS recomputed_usd,
    costless AS unpriced,
    round(usd / nullIf(commits, 0), 4) AS usd_per_commit,
    round(usd / nullIf(pull_requests, 0), 4) AS usd_per_pull_request,
    round(100 * usd / nullIf(lines_added, 0), 4) AS usd_per_100_lines,
    if(NOT was_recorded OR (costless_before > 0 AND costless_before = asked_before), NULL, round(nanos_before / 1e9, 4)) AS before,
    round(100 * (usd - before) / nullIf(before, 0), 1) AS change_percent
FROM counted
FULL JOIN spent USING (value)
WHERE is_counted OR asked > 0
ORDER BY usd DESC, value
