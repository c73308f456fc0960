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
    -- Without a condition the newest time is known without reading, but a wrong clock would be the newest.
    SELECT 'logs' AS signal, max(Timestamp) AS time, countIf(Timestamp > now('UTC') - toIntervalHour(1)) AS hour, count() AS records
    FROM otel_logs
    WHERE Timestamp > now('UTC') - toIntervalDay(1) AND Timestamp <= now('UTC') + toIntervalHour(1)
    UNION ALL
    SELECT 'logs', max(Timestamp), 0, 0 FROM otel_logs WHERE Timestamp <= now('UTC') + toIntervalHour(1)
    UNION ALL
    SELECT 'spans', max(Timestamp), countIf(Timestamp > now('UTC') - toIntervalHour(1)), count()
    FROM otel_traces
    WHERE Timestamp > now('UTC') - toIntervalDay(1) AND Timestamp <= now('UTC') + toIntervalHour(1)
    UNION ALL
    SELECT 'spans', max(Timestamp), 0, 0 FROM otel_traces WHERE Timestamp <= now('UTC') + toIntervalHour(1)
    UNION ALL
    SELECT 'metrics', max(TimeUnix), countIf(TimeUnix > now('UTC') - toIntervalHour(1)), count()
    FROM otel_metrics_sum
    WHERE TimeUnix > now('UTC') - toIntervalDay(1) AND TimeUnix <= now('UTC') + toIntervalHour(1)
    UNION ALL
    SELECT 'metrics', max(TimeUnix), 0, 0 FROM otel_metrics_sum WHERE TimeUnix <= now('UTC') + toIntervalHour(1)
)
GROUP BY signal
ORDER BY signal
