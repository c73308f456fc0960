SELECT DISTINCT SpanName AS name
FROM otel_traces
WHERE ServiceName = {service:String} AND Timestamp >= fromUnixTimestamp64Nano({from:Int64}, 'UTC')
    AND Timestamp < fromUnixTimestamp64Nano({to:Int64}, 'UTC')
ORDER BY name
LIMIT {limit:UInt64}
