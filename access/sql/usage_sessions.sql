-- The use of each session in a period and in the one before. Whole days of a period are those of sessions; what lies at the
-- edges are events.
WITH
    toStartOfDay({from:DateTime64(6, 'UTC')} + toIntervalMicrosecond(86399999999), 'UTC') AS first_day_before,
    toStartOfDay({begins:DateTime64(6, 'UTC')}, 'UTC') AS last_day_before,
    toStartOfDay({begins:DateTime64(6, 'UTC')} + toIntervalMicrosecond(86399999999), 'UTC') AS first_day,
    toStartOfDay({to:DateTime64(6, 'UTC')}, 'UTC') AS last_day
SELECT
    is_now, session_id, toFloat64(1) AS sessions, toFloat64(sum(asked)) AS requests, toFloat64(sum(called)) AS calls,
    toFloat64(sum(used)) AS tokens, sum(nanos) / 1e9 AS cost_usd
FROM (
    SELECT
        toDateTime(day, 'UTC') >= first_day AS is_now, session_id, telemetry_sessions.requests AS asked, tool_calls AS called,
        input_tokens + output_tokens AS used, cost_nanos AS nanos
    FROM telemetry_sessions
    WHERE (telemetry_sessions.requests > 0 OR tool_calls > 0)
        AND ((day >= toDate(first_day_before, 'UTC') AND day < toDate(last_day_before, 'UTC'))
            OR (day >= toDate(first_day, 'UTC') AND day < toDate(last_day, 'UTC')))
    UNION ALL
    SELECT
        timestamp >= {begins:DateTime64(6, 'UTC')}, session_id, toUInt64(event_type = 'api_request'),
        toUInt64(event_type = 'tool_result'), ifNull(input_tokens, 0) + ifNull(output_tokens, 0), ifNull(cost_nanos, 0)
    FROM telemetry_events
    WHERE event_type IN ('tool_result', 'api_request') AND session_id != ''
        AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
        AND NOT (
            (timestamp >= first_day_before AND timestamp < last_day_before) OR (timestamp >= first_day AND timestamp < last_day))
)
GROUP BY is_now, session_id
