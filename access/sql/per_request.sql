-- Model requests that were answered. Of most clients, the time to the first token is known to spans alone, which are found
-- by a hash of the request's id: half the work of the text.
SELECT
    if(request_id != '', request_id, session_id) AS unit, timestamp,
    toFloat64(duration_ms) AS duration_ms,
    toFloat64(coalesce(events.ttft_ms, spans.first_token_ms)) AS ttft_ms,
    cost_nanos / 1e9 AS cost_usd,
    toFloat64(input_tokens) AS tokens_in,
    toFloat64(output_tokens) AS tokens_out,
    toFloat64(cache_read_tokens) AS cache_read_tokens,
    toFloat64(cache_creation_tokens) AS cache_creation_tokens
FROM telemetry_events AS events
LEFT ANY JOIN (
    SELECT cityHash64(request_id) AS request_hash, ttft_ms AS first_token_ms
    FROM telemetry_spans
    WHERE span_type = 'llm_request' AND request_id != '' AND ttft_ms IS NOT NULL
        AND timestamp >= {from:DateTime64(6, 'UTC')} - toIntervalHour(1) AND timestamp < {to:DateTime64(6, 'UTC')}
) AS spans ON spans.request_hash = cityHash64(events.request_id)
WHERE event_type = 'api_request'
    AND events.timestamp >= {from:DateTime64(6, 'UTC')} AND events.timestamp < {to:DateTime64(6, 'UTC')} /* filters */
