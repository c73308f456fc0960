/*
question: How long do sessions of your own MCP servers last, and how do they end?
topic: tools
needs: []
note: >
  Servers that the SDK measures (docs/sdk.md), this installation's own as telemetry-mcp. A session is counted when it
  ends, in the period in which it began.
empty: 'no session of an instrumented MCP server ended in this period. Over the newer protocol clients open none; mcp_server_latency counts requests'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  server: {default: '', meaning: 'one server only, by its service name; empty: all'}
columns:
  server: the server's service name
  transport: pipe for standard input and output, tcp for HTTP
  model: the model that the server named, if it did
  sessions: sessions that ended
  failed: those that ended with an error
  failed_percent: their share
  p50_seconds: half lasted no longer
  p95_seconds: nineteen of twenty lasted no longer
  messages: messages of a session, in the mean
  errors: messages that failed
  tokens: tokens that the server counted
  checkpoints: checkpoints that it saved
  last_seen: when the last one ended
example: {server: shop, transport: tcp, model: claude-opus-4, sessions: 120, failed: 3, failed_percent: 2.5, p50_seconds: 41.2, p95_seconds: 610, messages: 18.4, errors: 7, tokens: 91200, checkpoints: 14, last_seen: '2026-11-28 20:41:07'}
*/
WITH quantilesExact(0.5, 0.95)(duration_seconds) AS lasted
SELECT
    service_name AS server,
    transport,
    if(model = 'unknown', '', model) AS model,
    count() AS sessions,
    countIf(status = 'error') AS failed,
    round(100 * failed / sessions, 1) AS failed_percent,
    round(lasted[1], 1) AS p50_seconds,
    round(lasted[2], 1) AS p95_seconds,
    round(avg(message_count), 1) AS messages,
    sum(error_count) AS errors,
    sum(token_count) AS tokens,
    sum(checkpoint_count) AS checkpoints,
    toDateTime(max(end_time), 'UTC') AS last_seen
FROM session_metrics
WHERE start_time >= toStartOfHour({from:DateTime('UTC')}) AND start_time < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
    AND ({server:String} = '' OR service_name = {server:String})
GROUP BY server, transport, model
ORDER BY sessions DESC, server, transport, model
