/*
question: Which traces does a session have?
topic: sessions
needs: [traces]
note: >
  Needs traces, which are a beta of the client.
empty: 'no trace of this session is stored'
parameters:
  session: {default: '', meaning: 'the id of the session; empty: the latest'}
  limit: {default: 200, meaning: 'how many, the latest first'}
columns:
  trace: the trace's id
  started: when its first span began, UTC
  seconds: from its first span's beginning to its last span's end
  spans: how many spans it has
  model_requests: spans of model requests
  tool_calls: spans of tools
  failed: spans with an error
  slowest: the longest span below the root
example: {trace: 0af7651916cd43dd8448eb211c80319c, started: '2026-11-22 09:14:03.120', seconds: 41.2, spans: 22, model_requests: 6, tool_calls: 5, failed: 1, slowest: claude_code.tool Bash}
*/
WITH
    if({session:String} = '',
        (SELECT argMax(session_id, ended) FROM telemetry_sessions WHERE day <= toDate(now('UTC'))), {session:String}) AS wanted,
    (SELECT min(started) FROM telemetry_sessions WHERE session_id = wanted) AS begun,
    (SELECT max(ended) FROM telemetry_sessions WHERE session_id = wanted) AS last
SELECT
    TraceId AS trace,
    toDateTime64(min(Timestamp), 3, 'UTC') AS started,
    round(dateDiff('millisecond', min(Timestamp), max(addNanoseconds(Timestamp, least(Duration, 86400000000000)))) / 1e3, 1) AS seconds,
    count() AS spans,
    countIf(SpanName = 'claude_code.llm_request') AS model_requests,
    countIf(SpanName = 'claude_code.tool') AS tool_calls,
    countIf(StatusCode = 'Error') AS failed,
    trimRight(argMaxIf(concat(SpanName, ' ', SpanAttributes['tool_name']), Duration, ParentSpanId != '')) AS slowest
FROM otel_traces
WHERE Timestamp >= begun - toIntervalHour(1) AND Timestamp <= last + toIntervalHour(1)
    AND SpanAttributes['session.id'] = wanted
GROUP BY trace
ORDER BY started DESC, trace
LIMIT {limit:UInt64}
