-- Which metrics there are in a period, each with its kind and what was last said of it.
SELECT
    kind,
    MetricName AS metric,
    argMax(MetricUnit, time) AS unit,
    argMax(MetricDescription, time) AS description,
    argMax(is_counter, time) AS is_counter
FROM
(
    SELECT 'gauge' AS kind, MetricName, MetricUnit, MetricDescription, TimeUnix AS time, false AS is_counter
    FROM {gauge:Identifier}
    WHERE TimeUnix >= fromUnixTimestamp64Milli({from:Int64}) AND TimeUnix <= fromUnixTimestamp64Milli({to:Int64})
    UNION ALL
    SELECT 'sum' AS kind, MetricName, MetricUnit, MetricDescription, TimeUnix AS time, IsMonotonic AS is_counter
    FROM {sum:Identifier}
    WHERE TimeUnix >= fromUnixTimestamp64Milli({from:Int64}) AND TimeUnix <= fromUnixTimestamp64Milli({to:Int64})
    UNION ALL
    SELECT 'histogram' AS kind, MetricName, MetricUnit, MetricDescription, TimeUnix AS time, false AS is_counter
    FROM {histogram:Identifier}
    WHERE TimeUnix >= fromUnixTimestamp64Milli({from:Int64}) AND TimeUnix <= fromUnixTimestamp64Milli({to:Int64})
    UNION ALL
    SELECT 'exp_histogram' AS kind, MetricName, MetricUnit, MetricDescription, TimeUnix AS time, false AS is_counter
    FROM {exp_histogram:Identifier}
    WHERE TimeUnix >= fromUnixTimestamp64Milli({from:Int64}) AND TimeUnix <= fromUnixTimestamp64Milli({to:Int64})
    UNION ALL
    SELECT 'summary' AS kind, MetricName, MetricUnit, MetricDescription, TimeUnix AS time, false AS is_counter
    FROM {summary:Identifier}
    WHERE TimeUnix >= fromUnixTimestamp64Milli({from:Int64}) AND TimeUnix <= fromUnixTimestamp64Milli({to:Int64})
)
GROUP BY kind, MetricName
ORDER BY metric, kind
