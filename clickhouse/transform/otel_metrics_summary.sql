-- The columns of this table only; metric_points.sql is the beginning of the statement.
    (point).count AS Count,
    (point).sum AS Sum,
    (point).quantile_values.quantile AS `ValueAtQuantiles.Quantile`,
    (point).quantile_values.value AS `ValueAtQuantiles.Value`,
    (point).flags AS Flags,
    -- A point without a time is not known again.
    cityHash64(MetricName, ResourceAttributes, ScopeName, Attributes, StartTimeUnix, TimeUnix, Flags, Count, Sum)
        * ((point).time_unix_nano != 0) AS Content,
    toUInt64(0) AS Identity
FROM points
