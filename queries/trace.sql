/*
question: What happened in one trace, span by span?
topic: sessions
needs: [traces]
empty: 'no such trace is stored: the question session_traces lists those of a session'
parameters:
  trace: {default: '', meaning: 'the id of the trace; empty: the latest'}
columns:
  trace: the trace's id
  span: the span's id
  parent: the id of the span that it is a part of, empty for a root
  name: the span's name
  service: the service that sent it
  started: when it began, UTC
  ms: how long it took
  status: Unset, Ok or Error
  attributes: what the client says of it, after the privacy rules
wide: [attributes, parent]
example: {trace: 0af7651916cd43dd8448eb211c80319c, span: b7ad6b7169203331, parent: '', name: claude_code.interaction, service: claude-code, started: '2026-11-22 09:14:03.120', ms: 41210.5, status: Ok, attributes: '{''session.id'':''6f1c0b1e-…''}'}
*/
WITH
    if({trace:String} = '',
        (
            SELECT argMax(TraceId, End)
            FROM otel_traces_trace_id_ts
            WHERE Start <= now('UTC') AND Start >= toStartOfDay(
                (SELECT max(Start) FROM otel_traces_trace_id_ts WHERE _partition_value.1 <= toDate(now('UTC'))), 'UTC')
        ), {trace:String}) AS wanted,
    (SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = wanted) AS begun,
    (SELECT max(End) FROM otel_traces_trace_id_ts WHERE TraceId = wanted) AS last
SELECT
    TraceId AS trace,
    SpanId AS span,
    ParentSpanId AS parent,
    SpanName AS name,
    ServiceName AS service,
    toDateTime64(Timestamp, 3, 'UTC') AS started,
    Duration / 1e6 AS ms,
    StatusCode AS status,
    SpanAttributes AS attributes
FROM otel_traces
WHERE Timestamp >= begun AND Timestamp <= last + toIntervalSecond(1) AND TraceId = wanted
ORDER BY Timestamp, span
