-- The failures by category: how often, when, in whose sessions, and the time that they took.
SELECT
    failure AS pattern,
    count() AS times,
    uniqExactIf(session_id, session_id != '') AS sessions,
    uniqExactIf(user_id, user_id != '') AS users,
    uniqExactIf(tool_name, tool_name != '') AS tools,
    ifNull(sum(duration_ms), 0) AS lost,
    min(timestamp) AS first_seen,
    max(timestamp) AS last_seen
FROM telemetry_events
WHERE failure != ''
    AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
GROUP BY pattern
ORDER BY times DESC, pattern
LIMIT {most:UInt64}
