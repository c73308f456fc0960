-- By how much each of Claude Code's counters grew, whichever temporality the client was set to: a delta is taken as it is; a
-- cumulative value less the one before it in its series. A series is told apart by its attributes and its start time, so
-- a resume or a parallel process is one of its own; a value below the one before is a counter that began again.
-- Ask for a period: telemetry_metric_increments(from = …, to = …). Cumulative points of the day before are looked at too.
CREATE VIEW IF NOT EXISTS telemetry_metric_increments AS
WITH
    points AS (
        SELECT
            TimeUnix,
            MetricName,
            ServiceName,
            ResourceAttributes AS r,
            Attributes AS a,
            StartTimeUnix,
            Value,
            AggregationTemporality = 2 AS is_cumulative
        FROM otel_metrics_sum
        WHERE MetricName LIKE 'claude\\_code.%'
            AND TimeUnix >= {from:DateTime('UTC')} - toIntervalDay(1) AND TimeUnix < {to:DateTime('UTC')}
            AND Value >= 0 AND isFinite(Value)
    ),
    series AS (
        SELECT
            * EXCEPT is_cumulative,
            lagInFrame(Value, 1, 0.) OVER (
                PARTITION BY MetricName, ServiceName, StartTimeUnix, cityHash64(toString(r), toString(a))
                ORDER BY TimeUnix
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS previous
        FROM points
        WHERE is_cumulative
    ),
    increments AS (
        SELECT * EXCEPT is_cumulative, Value AS increment FROM points WHERE NOT is_cumulative
        UNION ALL
        SELECT * EXCEPT previous, if(Value < previous, Value, Value - previous) FROM series
    )
SELECT
    TimeUnix AS time,
    substring(MetricName, 13) AS metric,
    a['type'] AS type,
    a['session.id'] AS session_id,
    multiIf(
        a['user.email'] != '', a['user.email'], a['enduser.id'] != '', a['enduser.id'],
        a['user.id'] != '', a['user.id'], a['user.account_uuid']) AS user_id,
    multiIf(
        r['team.id'] != '', r['team.id'], r['team'] != '', r['team'],
        a['team.id'] != '', a['team.id'], a['team']) AS team,
    if(r['department'] != '', r['department'], a['department']) AS department,
    multiIf(
        r['project'] != '', r['project'], r['project.name'] != '', r['project.name'],
        a['project'] != '', a['project'], a['vcs.repository.name']) AS project,
    a['model'] AS model,
    a['query_source'] AS query_source,
    a['tool_name'] AS tool_name,
    a['decision'] AS decision,
    a['source'] AS decision_source,
    a['language'] AS language,
    a['start_type'] AS start_type,
    increment
FROM increments
WHERE TimeUnix >= {from:DateTime('UTC')}
