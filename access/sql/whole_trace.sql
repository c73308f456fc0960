-- The traces whose id begins so.
SELECT DISTINCT TraceId FROM otel_traces_trace_id_ts WHERE startsWith(TraceId, {short:String}) OR TraceId = {value:String}
ORDER BY TraceId != {value:String}, TraceId
LIMIT 6
