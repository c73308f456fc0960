-- A session's id, and when it began and ended in whole seconds; the latest for no id. No row where there is none.
WITH
    if({session:String} = '',
        (SELECT argMax(session_id, ended) FROM telemetry_sessions WHERE day <= toDate(now('UTC'))), {session:String}) AS wanted
SELECT wanted AS session, toString(toDateTime(min(started), 'UTC')), toString(toDateTime(max(ended), 'UTC') + 1)
FROM telemetry_sessions
WHERE session_id = wanted
HAVING count() > 0
