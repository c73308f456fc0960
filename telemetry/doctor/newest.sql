-- How old the newest rows of each signal are, in seconds, how many there are in 30 days, and how many are from the future.
SELECT signal, dateDiff('second', maxIf(time, time <= now('UTC') + INTERVAL 1 MINUTE), now('UTC')) AS age, count() AS rows, countIf(time > now('UTC') + INTERVAL 1 MINUTE) AS ahead
FROM (
    SELECT 'logs' AS signal, Timestamp AS time, ServiceName FROM otel_logs
    UNION ALL SELECT 'metrics', TimeUnix, ServiceName FROM otel_metrics_sum
    UNION ALL SELECT 'traces', Timestamp, ServiceName FROM otel_traces
)
WHERE ServiceName != {own:String} AND time > now('UTC') - INTERVAL 30 DAY
GROUP BY signal
