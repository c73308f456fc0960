/*
question: How did each session go?
topic: sessions
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  limit: {default: 50, meaning: 'how many sessions, the latest first'}
columns:
  session: the session's id
  user: the user, as a hash when the rules hash it
  started: when its first event was sent, UTC
  minutes: from its first event to its last
  prompts: prompts of the user
  requests: model requests that succeeded
  tool_calls: tool calls that ended
  tools_failed: those that failed
  api_errors: model requests that failed for good
  tokens: input and output tokens, without cache
  usd: what its requests cost
example: {session: 6f1c0b1e-…, user: 'sha256:9b1f…', started: '2026-11-22 09:14:03', minutes: 38, prompts: 9, requests: 41, tool_calls: 63, tools_failed: 4, api_errors: 1, tokens: 88120, usd: 1.92}
*/
SELECT
    LogAttributes['session.id'] AS session,
    argMax(coalesce(
        nullIf(LogAttributes['user.email'], ''), nullIf(LogAttributes['enduser.id'], ''), LogAttributes['user.id']), Timestamp) AS user,
    toDateTime(min(Timestamp), 'UTC') AS started,
    dateDiff('minute', min(Timestamp), max(Timestamp)) AS minutes,
    countIf(LogAttributes['event.name'] = 'user_prompt') AS prompts,
    countIf(LogAttributes['event.name'] = 'api_request') AS requests,
    countIf(LogAttributes['event.name'] = 'tool_result') AS tool_calls,
    countIf(LogAttributes['event.name'] = 'tool_result' AND LogAttributes['success'] = 'false') AS tools_failed,
    countIf(LogAttributes['event.name'] = 'api_error') AS api_errors,
    sumIf(
        toUInt64OrZero(LogAttributes['input_tokens']) + toUInt64OrZero(LogAttributes['output_tokens']),
        LogAttributes['event.name'] = 'api_request') AS tokens,
    round(sumIf(toFloat64OrZero(LogAttributes['cost_usd']), LogAttributes['event.name'] = 'api_request'), 4) AS usd
FROM otel_logs
WHERE Timestamp >= {from:DateTime('UTC')} AND Timestamp < {to:DateTime('UTC')} AND LogAttributes['session.id'] != ''
GROUP BY session
ORDER BY started DESC, session
LIMIT {limit:UInt64}
