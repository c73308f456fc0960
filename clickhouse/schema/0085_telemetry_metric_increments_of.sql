-- By how much some of Claude Code's counters grew, whichever temporality the client was set to: a delta is taken as it is;
-- a cumulative value less the one before it in its series, however long ago that was. A series is told apart by its
-- attributes and its start time, so a resume or a parallel process is one of its own; a value below the one before is a
-- counter that began again. A point that has no value is none, and of those of the same series and time the largest counts.
-- The growth lies between `since` and `time`, and counts at `time`.
-- Ask for a period and for metrics: telemetry_metric_increments_of(from = …, to = …, metrics = ['commit.count', …]), where
-- [] means all. Days before the period are read as far back as the cumulative series in it began, and none for deltas.
-- Maps are large: PREWHERE leaves them unread for the points that are not asked for, and what is needed of the others is
-- taken out before the points are sorted.
CREATE VIEW IF NOT EXISTS telemetry_metric_increments_of AS
WITH
    cumulative_since AS (
        SELECT min(StartTimeUnix) AS earliest
        FROM otel_metrics_sum
        PREWHERE MetricName LIKE 'claude\\_code.%' AND AggregationTemporality = 2
            AND (empty({metrics:Array(String)}) OR substring(MetricName, 13) IN {metrics:Array(String)})
            AND TimeUnix >= {from:DateTime('UTC')} AND TimeUnix < {to:DateTime('UTC')}
        HAVING count() > 0
    ),
    points AS (
        SELECT
            TimeUnix,
            StartTimeUnix,
            Value,
            AggregationTemporality = 2 AS is_cumulative,
            ResourceAttributes AS r,
            Attributes AS a,
            cityHash64(MetricName, ServiceName, StartTimeUnix, r, a, is_cumulative) AS series,
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
            a['start_type'] AS start_type
        FROM otel_metrics_sum
        PREWHERE MetricName LIKE 'claude\\_code.%'
            AND (empty({metrics:Array(String)}) OR substring(MetricName, 13) IN {metrics:Array(String)})
            AND TimeUnix >= least({from:DateTime('UTC')}, coalesce((SELECT earliest FROM cumulative_since), {from:DateTime('UTC')}))
            AND TimeUnix < {to:DateTime('UTC')}
            AND (TimeUnix >= {from:DateTime('UTC')} OR AggregationTemporality = 2)
        WHERE Value >= 0 AND isFinite(Value) AND bitAnd(Flags, 1) = 0
        ORDER BY series, TimeUnix, Value DESC
        LIMIT 1 BY series, TimeUnix
    )
SELECT
    TimeUnix AS time, metric, type, session_id, user_id, team, department, project, model, query_source, tool_name,
    decision, decision_source, language, start_type,
    if(is_cumulative AND Value >= previous, Value - previous, Value) AS increment,
    if(is_cumulative, before, StartTimeUnix) AS since
FROM (
    SELECT *, lagInFrame(Value, 1, 0.) OVER earlier AS previous, lagInFrame(TimeUnix, 1, StartTimeUnix) OVER earlier AS before
    FROM points
    WINDOW earlier AS (PARTITION BY series ORDER BY TimeUnix ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WHERE TimeUnix >= {from:DateTime('UTC')}
