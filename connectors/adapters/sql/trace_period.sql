SELECT count() AS found, toUnixTimestamp(min(Start)) AS begin, toUnixTimestamp(max(End)) AS end
FROM otel_traces_trace_id_ts
WHERE TraceId = {id:String}
