-- By how much each of Claude Code's counters grew, whichever temporality the client was set to: a delta is taken as it is; a
-- cumulative value less the one before it in its series, however long ago that was. A series is told apart by its
-- attributes and its start time, so a resume or a parallel process is one of its own; a value below the one before is a
-- counter that began again. A point that has no value is none, and of those of the same series and time the largest counts.
-- The growth lies between `since` and `time`, and counts at `time`.
-- Ask for a period: telemetry_metric_increments(from = …, to = …). Days before it are read as far back as the cumulative
-- series in it began, and none for deltas.
CREATE OR REPLACE VIEW telemetry_metric_increments AS
WITH
    cumulative_since AS (
        SELECT min(StartTimeUnix) AS earliest
        FROM otel_metrics_sum
        WHERE MetricName LIKE 'claude\\_code.%' AND AggregationTemporality = 2
            AND TimeUnix >= {from:DateTime('UTC')} AND TimeUnix < {to:DateTime('UTC')}
        HAVING count() > 0
    ),
    -- Each temporality is read by itself: a step that both had in common would be worked out for both of them.
    deltas AS (
        SELECT
            TimeUnix,
            MetricName,
            ResourceAttributes AS r,
            Attributes AS a,
            StartTimeUnix,
            Value,
            cityHash64(MetricName, ServiceName, StartTimeUnix, r, a) AS series
        FROM otel_metrics_sum
        WHERE MetricName LIKE 'claude\\_code.%' AND AggregationTemporality != 2
            AND TimeUnix >= {from:DateTime('UTC')} AND TimeUnix < {to:DateTime('UTC')}
            AND Value >= 0 AND isFinite(Value) AND bitAnd(Flags, 1) = 0
        ORDER BY Value DESC
        LIMIT 1 BY series, TimeUnix
    ),
    points AS (
        SELECT
            TimeUnix,
            MetricName,
            ResourceAttributes AS r,
            Attributes AS a,
            StartTimeUnix,
            Value,
            cityHash64(MetricName, ServiceName, StartTimeUnix, r, a) AS series
        FROM otel_metrics_sum
        WHERE MetricName LIKE 'claude\\_code.%' AND AggregationTemporality = 2
            AND TimeUnix >= least({from:DateTime('UTC')}, coalesce((SELECT earliest FROM cumulative_since), {from:DateTime('UTC')})) AND TimeUnix < {to:DateTime('UTC')}
            AND Value >= 0 AND isFinite(Value) AND bitAnd(Flags, 1) = 0
        ORDER BY Value DESC
        LIMIT 1 BY series, TimeUnix
    ),
    increments AS (
        SELECT TimeUnix, MetricName, r, a, StartTimeUnix AS since, Value AS increment FROM deltas
        UNION ALL
        SELECT TimeUnix, MetricName, r, a, since, if(Value < previous, Value, Value - previous)
        FROM (
            SELECT
                *,
                lagInFrame(Value, 1, 0.) OVER before AS previous,
                lagInFrame(TimeUnix, 1, StartTimeUnix) OVER before AS since
            FROM points
            WINDOW before AS (PARTITION BY series ORDER BY TimeUnix ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
        )
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
    increment,
    since
FROM increments
WHERE TimeUnix >= {from:DateTime('UTC')}
