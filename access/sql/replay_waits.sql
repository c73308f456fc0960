-- How long each tool call of a session waited for a person, which spans alone say; and the session's traces.
SELECT
    span_type,
    tool_use_id,
    trace_id,
    span_id,
    parent_span_id,
    duration_ms
FROM telemetry_spans
WHERE span_type IN ('tool', 'tool.blocked_on_user', 'interaction') AND session_id = {session:String}
    AND timestamp >= (SELECT min(started) FROM telemetry_sessions WHERE session_id = {session:String}) - toIntervalDay(1)
    AND timestamp < (SELECT max(ended) FROM telemetry_sessions WHERE session_id = {session:String}) + toIntervalMinute(1)
ORDER BY timestamp
LIMIT 20000
