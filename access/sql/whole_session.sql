-- The sessions whose id begins so.
SELECT DISTINCT session_id FROM telemetry_sessions WHERE startsWith(session_id, {short:String}) OR session_id = {value:String}
ORDER BY session_id != {value:String}, session_id
LIMIT 6
