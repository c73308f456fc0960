-- The sessions whose id begins so.
SELECT DISTINCT session_id FROM telemetry_sessions WHERE startsWith(session_id, {short:String}) ORDER BY session_id LIMIT 3
