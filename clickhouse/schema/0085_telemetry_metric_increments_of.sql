-- By how much some of Claude Code's counters grew, whichever temporality the client was set to: a delta is taken as it is;
-- a cumulative value less the one before it in its series, however long ago that was. A series is told apart by its
-- attributes and its start time, so a resume or a parallel process is one of its own; a value below the one before is a
-- counter that began again. A point that has no value is none, and of those of the same series and time the largest counts.
-- The growth lies between `since` and `time`, and counts at `time`.
-- Ask for a period and for metrics: telemetry_metric_increments_of(from = …, to = …, metrics = ['commit.count', …]), where
-- [] means all. Days before the period are read as far back as the cumulative series in it began, and none for deltas.
-- Maps are large: PREWHERE leaves them unread for points that are not asked for, and grouping takes out of the others what
-- is needed. It is the same for all points of a series.
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
        WITH ResourceAttributes AS r, Attributes AS a
        SELECT
            TimeUnix,
            any(StartTimeUnix) AS start,
            any(AggregationTemporality = 2) AS is_cumulative,
            cityHash64(MetricName, ServiceName, StartTimeUnix, r, a, AggregationTemporality = 2) AS series,
            max(Value) AS value,
            any(substring(MetricName, 13)) AS metric,
            any(a['type']) AS type,
            any(a['session.id']) AS session_id,
            any(multiIf(
                a['user.email'] != '', a['user.email'], a['enduser.id'] != '', a['enduser.id'],
                a['user.id'] != '', a['user.id'], a['user.account_uuid'])) AS user_id,
            any(multiIf(
                r['team.id'] != '', r['team.id'], r['team'] != '', r['team'],
                a['team.id'] != '', a['team.id'], a['team'])) AS team,
            any(if(r['department'] != '', r['department'], a['department'])) AS department,
            any(multiIf(
                r['project'] != '', r['project'], r['project.name'] != '', r['project.name'],
                a['project'] != '', a['project'], a['vcs.repository.name'])) AS project,
            any(a['model']) AS model,
            any(a['query_source']) AS query_source,
            any(a['tool_name']) AS tool_name,
            any(a['decision']) AS decision,
            any(a['source']) AS decision_source,
            any(a['language']) AS language,
            any(a['start_type']) AS start_type
        FROM otel_metrics_sum
        PREWHERE MetricName LIKE 'claude\\_code.%'
            AND (empty({metrics:Array(String)}) OR substring(MetricName, 13) IN {metrics:Array(String)})
            AND TimeUnix >= least({from:DateTime('UTC')}, coalesce((SELECT earliest FROM cumulative_since), {from:DateTime('UTC')}))
            AND TimeUnix < {to:DateTime('UTC')}
            AND (TimeUnix >= {from:DateTime('UTC')} OR AggregationTemporality = 2)
        WHERE Value >= 0 AND isFinite(Value) AND bitAnd(Flags, 1) = 0
        GROUP BY series, TimeUnix
    )
SELECT
    TimeUnix AS time, metric, type, session_id, user_id, team, department, project, model, query_source, tool_name,
    decision, decision_source, language, start_type,
    if(is_cumulative AND value >= previous, value - previous, value) AS increment,
    if(is_cumulative, before, start) AS since
FROM (
    SELECT *, lagInFrame(value, 1, 0.) OVER earlier AS previous, lagInFrame(TimeUnix, 1, start) OVER earlier AS before
    FROM points
    WINDOW earlier AS (PARTITION BY series ORDER BY TimeUnix ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WHERE TimeUnix >= {from:DateTime('UTC')}
