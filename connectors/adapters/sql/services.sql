SELECT DISTINCT service
FROM
(
    SELECT DISTINCT ServiceName AS service FROM otel_logs
    WHERE Timestamp >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') AND Timestamp < fromUnixTimestamp64Nano({to:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT ServiceName FROM otel_traces
    WHERE Timestamp >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') AND Timestamp < fromUnixTimestamp64Nano({to:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT ServiceName FROM otel_metrics_sum
    WHERE TimeUnix >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') AND TimeUnix < fromUnixTimestamp64Nano({to:Int64}, 'UTC')
    UNION ALL
    SELECT DISTINCT ServiceName FROM otel_metrics_gauge
    WHERE TimeUnix >= fromUnixTimestamp64Nano({from:Int64}, 'UTC') AND TimeUnix < fromUnixTimestamp64Nano({to:Int64}, 'UTC')
)
WHERE service != ''
ORDER BY service
LIMIT {limit:UInt64}
