-- What was asked in a session, as the privacy level keeps it: the text with what is private replaced, its hash, or nothing.
SELECT
    Timestamp AS timestamp,
    LogAttributes['prompt.id'] AS prompt_id,
    substringUTF8(LogAttributes['prompt'], 1, 2000) AS prompt
FROM otel_logs
WHERE LogAttributes['session.id'] = {session:String} AND LogAttributes['event.name'] = 'user_prompt'
    AND Timestamp >= (SELECT min(started) FROM telemetry_sessions WHERE session_id = {session:String})
    AND Timestamp < (SELECT max(ended) FROM telemetry_sessions WHERE session_id = {session:String}) + toIntervalMillisecond(1)
ORDER BY timestamp
LIMIT 1000
