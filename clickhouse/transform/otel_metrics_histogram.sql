-- The columns of this table only; metric_points.sql is the beginning of the statement.
    (point).count AS Count,
    (point).sum AS Sum,
    (point).bucket_counts AS BucketCounts,
    (point).explicit_bounds AS ExplicitBounds,
    arrayMap(e -> otlp_attributes((e).filtered_attributes, {hash_key:String}, {statement:UInt64}), (point).exemplars)
        AS `Exemplars.FilteredAttributes`,
    arrayMap(t -> otlp_time(t), (point).exemplars.time_unix_nano) AS `Exemplars.TimeUnix`,
    arrayMap(e -> otlp_number(e), (point).exemplars) AS `Exemplars.Value`,
    arrayMap(i -> otlp_id(i), (point).exemplars.span_id) AS `Exemplars.SpanId`,
    arrayMap(i -> otlp_id(i), (point).exemplars.trace_id) AS `Exemplars.TraceId`,
    (point).flags AS Flags,
    (point).min AS Min,
    (point).max AS Max,
    (metric).histogram.aggregation_temporality AS AggregationTemporality,
    -- A point without a time is not known again.
    cityHash64(MetricName, ResourceAttributes, ScopeName, Attributes, StartTimeUnix, TimeUnix, Flags, Count, Sum, BucketCounts)
        * ((point).time_unix_nano != 0) AS Content,
    toUInt64(0) AS Identity
FROM points
