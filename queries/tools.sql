/*
question: Which tools are used, how often do they fail, and how long do they take?
topic: tools
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
columns:
  tool: the tool's name
  calls: calls that ended; a rejected call is none
  failures: calls that failed
  failure_percent: their share
  p50_ms: half of the calls took no longer, in milliseconds
  p95_ms: nineteen of twenty took no longer
  sessions: sessions that used it
example: {tool: Bash, calls: 412, failures: 41, failure_percent: 10, p50_ms: 180, p95_ms: 5200, sessions: 37}
*/
SELECT
    LogAttributes['tool_name'] AS tool,
    count() AS calls,
    countIf(LogAttributes['success'] = 'false') AS failures,
    round(100 * failures / calls, 1) AS failure_percent,
    round(quantileExactOrNull(0.5)(toFloat64OrNull(LogAttributes['duration_ms']))) AS p50_ms,
    round(quantileExactOrNull(0.95)(toFloat64OrNull(LogAttributes['duration_ms']))) AS p95_ms,
    uniqExact(LogAttributes['session.id']) AS sessions
FROM otel_logs
WHERE Timestamp >= {from:DateTime('UTC')} AND Timestamp < {to:DateTime('UTC')} AND LogAttributes['event.name'] = 'tool_result'
GROUP BY tool
ORDER BY calls DESC, tool
