-- The commits and pull requests that Claude Code counted in a period.
SELECT time, metric, session_id, project, sum(increment) AS count
FROM telemetry_metric_increments_of(
    from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, metrics = ['commit.count', 'pull_request.count'])
WHERE increment > 0
GROUP BY time, metric, session_id, project
ORDER BY time
LIMIT 50
