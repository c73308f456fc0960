-- Data points as they were sent.
SELECT *
FROM (
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
