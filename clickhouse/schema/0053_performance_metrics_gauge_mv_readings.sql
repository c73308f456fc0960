-- As before, without points that have no value.
ALTER TABLE performance_metrics_gauge_mv MODIFY QUERY
SELECT
    toDateTime64(TimeUnix, 3, 'UTC') AS timestamp,
    toDateTime64(StartTimeUnix, 3, 'UTC') AS started,
    ServiceName AS service_name,
    ResourceAttributes['service.instance.id'] AS service_instance,
    MetricName AS metric_name,
    Value AS value,
    toUInt64(1) AS count,
    false AS is_delta,
    Attributes AS labels
FROM otel_metrics_gauge
WHERE startsWith(MetricName, 'mcp.')
    AND isFinite(Value)
