-- What a session was: whose, where, for how long, and its totals.
SELECT
    session_id,
    toString(max(user_id)) AS user,
    toString(max(telemetry_sessions.team)) AS team,
    toString(max(telemetry_sessions.project)) AS project,
    toString(max(service_version)) AS version,
    groupUniqArrayArray(telemetry_sessions.models) AS models,
    toDateTime64(min(telemetry_sessions.started), 3, 'UTC') AS started,
    toDateTime64(max(telemetry_sessions.ended), 3, 'UTC') AS ended,
    sum(telemetry_sessions.prompts) AS prompts,
    sum(telemetry_sessions.requests) AS requests,
    sum(telemetry_sessions.tool_calls) AS tool_calls,
    sum(telemetry_sessions.failures) AS failures,
    sum(telemetry_sessions.compactions) AS compactions,
    sum(cost_nanos) / 1e9 AS usd,
    multiIf(failures = 0, 'no failures', max(last_success) > max(last_failure), 'recovered', 'stopped') AS outcome
FROM telemetry_sessions
WHERE session_id = {session:String}
GROUP BY session_id
