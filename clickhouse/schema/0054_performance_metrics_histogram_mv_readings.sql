-- As before, without points that have no value.
ALTER TABLE performance_metrics_histogram_mv MODIFY QUERY
SELECT
    toDateTime64(TimeUnix, 3, 'UTC') AS timestamp,
    toDateTime64(StartTimeUnix, 3, 'UTC') AS started,
    ServiceName AS service_name,
    ResourceAttributes['service.instance.id'] AS service_instance,
    MetricName AS metric_name,
    Sum AS value,
    toUInt64(Count) AS count,
    AggregationTemporality = 1 AS is_delta,
    Attributes AS labels
FROM otel_metrics_histogram
WHERE startsWith(MetricName, 'mcp.')
    AND bitAnd(Flags, 1) = 0
