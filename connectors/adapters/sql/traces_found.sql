SELECT TraceId AS trace_id, toUnixTimestamp64Nano(min(Timestamp)) AS start_ns
FROM otel_traces
WHERE /* which */
GROUP BY TraceId
HAVING start_ns < {before:Int64}
ORDER BY start_ns DESC, TraceId
LIMIT {limit:UInt64}
