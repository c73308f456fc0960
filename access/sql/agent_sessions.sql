-- The sessions of Claude Code with events in a period, those that changed files or failed most first.
SELECT
    session_id,
    min(timestamp) AS first,
    max(timestamp) AS last,
    anyIf(project, project != '') AS project_name,
    countIf(event_type = 'tool_result') AS tool_calls,
    countIf(event_type = 'tool_result' AND tool_name IN ('Edit', 'MultiEdit', 'Write', 'NotebookEdit')) AS edits,
    countIf(event_type = 'tool_result' AND command = 'git') AS git_runs,
    countIf(failure != '') AS failures
FROM telemetry_events
WHERE timestamp >= {from:DateTime64(9, 'UTC')} AND timestamp < {to:DateTime64(9, 'UTC')} AND session_id != ''
GROUP BY session_id
ORDER BY git_runs + edits DESC, failures DESC, first
LIMIT 50
