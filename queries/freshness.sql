/*
question: What arrives, and when did it last?
topic: data
parameters: {}
columns:
  signal: the kind of telemetry
  newest: the newest record's time, UTC; 1970 when there is none
  seconds_ago: how long ago that is
  last_hour: records of the last hour
  last_day: records of the last 24 hours
example: {signal: logs, newest: '2026-11-22 17:02:11', seconds_ago: 14, last_hour: 820, last_day: 9120}
*/
SELECT
    signal,
    toDateTime(max(time), 'UTC') AS newest,
    dateDiff('second', newest, now('UTC')) AS seconds_ago,
    sum(hour) AS last_hour,
    sum(records) AS last_day
FROM (
    -- The newest time of whole partitions is known without reading them; those of clocks in the future are left out.
    SELECT 'logs' AS signal, toDateTime64(max(Timestamp), 9, 'UTC') AS time, 0 AS hour, 0 AS records
    FROM otel_logs
    WHERE _partition_value.1 <= toDate(now('UTC'))
    UNION ALL
    SELECT 'logs', toDateTime64(0, 9, 'UTC'), countIf(Timestamp > now('UTC') - toIntervalHour(1)), count()
    FROM otel_logs
    WHERE Timestamp > now('UTC') - toIntervalDay(1) AND Timestamp <= now('UTC')
    UNION ALL
    SELECT 'spans' AS signal, toDateTime64(max(Timestamp), 9, 'UTC') AS time, 0 AS hour, 0 AS records
    FROM otel_traces
    WHERE _partition_value.1 <= toDate(now('UTC'))
    UNION ALL
    SELECT 'spans', toDateTime64(0, 9, 'UTC'), countIf(Timestamp > now('UTC') - toIntervalHour(1)), count()
    FROM otel_traces
    WHERE Timestamp > now('UTC') - toIntervalDay(1) AND Timestamp <= now('UTC')
    UNION ALL
    SELECT 'metrics' AS signal, toDateTime64(max(TimeUnix), 9, 'UTC') AS time, 0 AS hour, 0 AS records
    FROM otel_metrics_sum
    WHERE _partition_value.1 <= toDate(now('UTC'))
    UNION ALL
    SELECT 'metrics', toDateTime64(0, 9, 'UTC'), countIf(TimeUnix > now('UTC') - toIntervalHour(1)), count()
    FROM otel_metrics_sum
    WHERE TimeUnix > now('UTC') - toIntervalDay(1) AND TimeUnix <= now('UTC')
)
GROUP BY signal
ORDER BY signal
