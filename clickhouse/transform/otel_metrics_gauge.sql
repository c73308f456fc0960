-- The columns of this table only; metric_points.sql is the beginning of the statement.
    otlp_reading(point) AS Value,
    (point).flags AS Flags,
    arrayMap(e -> otlp_attributes((e).filtered_attributes, {hash_key:String}, {statement:UInt64}), (point).exemplars)
        AS `Exemplars.FilteredAttributes`,
    arrayMap(t -> otlp_time(t), (point).exemplars.time_unix_nano) AS `Exemplars.TimeUnix`,
    arrayMap(e -> otlp_number(e), (point).exemplars) AS `Exemplars.Value`,
    arrayMap(i -> otlp_id(i), (point).exemplars.span_id) AS `Exemplars.SpanId`,
    arrayMap(i -> otlp_id(i), (point).exemplars.trace_id) AS `Exemplars.TraceId`,
    -- A point without a time is not known again.
    cityHash64(MetricName, ResourceAttributes, ScopeName, Attributes, StartTimeUnix, TimeUnix, Flags, Value)
        * ((point).time_unix_nano != 0) AS Content,
    toUInt64(0) AS Identity
FROM points
