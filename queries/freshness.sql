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
    countIf(time > now('UTC') - INTERVAL 1 HOUR) AS last_hour,
    countIf(time > now('UTC') - INTERVAL 1 DAY) AS last_day
FROM (
    SELECT 'logs' AS signal, Timestamp AS time FROM otel_logs
    UNION ALL SELECT 'spans', Timestamp FROM otel_traces
    UNION ALL SELECT 'metrics', TimeUnix FROM otel_metrics_sum
)
GROUP BY signal
ORDER BY signal
