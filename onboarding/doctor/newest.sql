-- How old the newest rows of each signal are, in seconds, how many there are in 30 days, and how many are from the future.
-- The demo's records are no client's: one of them is from the year 2100 on purpose.
SELECT signal, dateDiff('second', maxIf(time, time <= now('UTC') + INTERVAL 1 MINUTE), now('UTC')) AS age, count() AS rows, countIf(time > now('UTC') + INTERVAL 1 MINUTE) AS ahead
FROM (
    SELECT 'logs' AS signal, Timestamp AS time, ServiceName, ResourceAttributes FROM otel_logs
    UNION ALL SELECT 'metrics', TimeUnix, ServiceName, ResourceAttributes FROM otel_metrics_sum
    UNION ALL SELECT 'traces', Timestamp, ServiceName, ResourceAttributes FROM otel_traces
)
WHERE ServiceName != {own:String} AND time > now('UTC') - INTERVAL 30 DAY
    AND ResourceAttributes['telemetry.demo'] != 'true'
GROUP BY signal
