-- Data points to be added up. Of Claude Code's counters: by how much they grew, whichever temporality they were sent in.
SELECT *
FROM (
SELECT
    toDateTime64(time, 9, 'UTC') AS timestamp, concat('claude_code.', metric) AS metric, 'counter' AS kind,
    toFloat64(increment) AS value, toUInt64(1) AS observations, '' AS unit, type, session_id AS session, user_id AS user,
    team, model, '' AS mcp_server, tool_name AS tool, query_source AS task_type, '' AS service
FROM telemetry_metric_increments(from = {from_second:DateTime('UTC')}, to = {to_second:DateTime('UTC')})
WHERE time >= {from:DateTime64(6, 'UTC')} AND time < {to:DateTime64(6, 'UTC')}
UNION ALL
SELECT
    TimeUnix AS timestamp, toString(MetricName) AS metric, kind, value, observations, MetricUnit AS unit, a['type'] AS type,
    a['session.id'] AS session,
    multiIf(
        a['user.email'] != '', a['user.email'], a['enduser.id'] != '', a['enduser.id'],
        a['user.id'] != '', a['user.id'], a['user.account_uuid']) AS user,
    multiIf(
        r['team.id'] != '', r['team.id'], r['team'] != '', r['team'],
        a['team.id'] != '', a['team.id'], a['team']) AS team,
    a['model'] AS model, a['mcp_server.name'] AS mcp_server, a['tool_name'] AS tool, a['query_source'] AS task_type,
    ServiceName AS service
FROM (
    SELECT
        TimeUnix, MetricName, 'gauge' AS kind, toFloat64(Value) AS value,
        toUInt64(1) AS observations, MetricUnit, ServiceName, Attributes AS a, ResourceAttributes AS r
    FROM otel_metrics_gauge
    WHERE TimeUnix >= {from:DateTime64(6, 'UTC')} AND TimeUnix < {to:DateTime64(6, 'UTC')}
        AND isFinite(Value)
    UNION ALL
    SELECT
        TimeUnix, MetricName,
        concat(if(IsMonotonic, 'counter', 'sum'), if(AggregationTemporality = 2, ', cumulative', '')) AS kind,
        toFloat64(Value) AS value, toUInt64(1) AS observations, MetricUnit, ServiceName, Attributes AS a, ResourceAttributes AS r
    FROM otel_metrics_sum
    WHERE TimeUnix >= {from:DateTime64(6, 'UTC')} AND TimeUnix < {to:DateTime64(6, 'UTC')}
        AND isFinite(Value)
        AND MetricName NOT LIKE 'claude\\_code.%'
    UNION ALL
    SELECT
        TimeUnix, MetricName, 'histogram' AS kind, toFloat64(Sum) AS value,
        toUInt64(Count) AS observations, MetricUnit, ServiceName, Attributes AS a, ResourceAttributes AS r
    FROM otel_metrics_histogram
    WHERE TimeUnix >= {from:DateTime64(6, 'UTC')} AND TimeUnix < {to:DateTime64(6, 'UTC')}
        AND bitAnd(Flags, 1) = 0
    UNION ALL
    SELECT
        TimeUnix, MetricName, 'histogram' AS kind, toFloat64(Sum) AS value,
        toUInt64(Count) AS observations, MetricUnit, ServiceName, Attributes AS a, ResourceAttributes AS r
    FROM otel_metrics_exp_histogram
    WHERE TimeUnix >= {from:DateTime64(6, 'UTC')} AND TimeUnix < {to:DateTime64(6, 'UTC')}
        AND bitAnd(Flags, 1) = 0
    UNION ALL
    SELECT
        TimeUnix, MetricName, 'summary' AS kind, toFloat64(Sum) AS value,
        toUInt64(Count) AS observations, MetricUnit, ServiceName, Attributes AS a, ResourceAttributes AS r
    FROM otel_metrics_summary
    WHERE TimeUnix >= {from:DateTime64(6, 'UTC')} AND TimeUnix < {to:DateTime64(6, 'UTC')}
        AND bitAnd(Flags, 1) = 0
)
)
WHERE true /* filters */
