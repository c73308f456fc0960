/*
question: What does each model cost, day by day?
topic: cost
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
columns:
  day: the day, UTC
  model: the model's name
  requests: model requests that succeeded
  input_tokens: tokens sent, neither read from the cache nor written to it
  output_tokens: tokens received
  cache_read_tokens: tokens read from the cache
  cache_creation_tokens: tokens written to the cache
  usd: what the client says they cost
example: {day: '2026-11-22', model: claude-sonnet-4-8, requests: 318, input_tokens: 91022, output_tokens: 120411, cache_read_tokens: 5120034, cache_creation_tokens: 310220, usd: 6.42}
*/
SELECT
    toDate(Timestamp, 'UTC') AS day,
    LogAttributes['model'] AS model,
    count() AS requests,
    sum(toUInt64OrZero(LogAttributes['input_tokens'])) AS input_tokens,
    sum(toUInt64OrZero(LogAttributes['output_tokens'])) AS output_tokens,
    sum(toUInt64OrZero(LogAttributes['cache_read_tokens'])) AS cache_read_tokens,
    sum(toUInt64OrZero(LogAttributes['cache_creation_tokens'])) AS cache_creation_tokens,
    round(sum(toFloat64OrZero(LogAttributes['cost_usd'])), 4) AS usd
FROM otel_logs
-- The same spend also arrives as metrics and as spans: count it from this event alone.
WHERE Timestamp >= {from:DateTime('UTC')} AND Timestamp < {to:DateTime('UTC')} AND LogAttributes['event.name'] = 'api_request'
GROUP BY day, model
ORDER BY day, usd DESC, model
