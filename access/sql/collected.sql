-- What of a period there is, in one row: so that an answer can say what was not collected.
SELECT
    (
        SELECT count()
        FROM telemetry_events
        WHERE timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    ) AS events,
    (
        SELECT count()
        FROM telemetry_spans
        WHERE timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    ) AS spans,
    (
        SELECT count()
        FROM otel_metrics_sum
        WHERE startsWith(MetricName, 'claude_code.') AND TimeUnix >= {from:DateTime('UTC')} AND TimeUnix < {to:DateTime('UTC')}
    ) AS points,
    tools.1 AS tool_calls,
    tools.2 AS detailed
FROM (
    -- The input of a tool is sent with its details, and hashed; its number alone is here.
    SELECT (count(), countIf(input_id != 0 OR command != '')) AS tools
    FROM telemetry_events
    WHERE event_type = 'tool_result' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
)
