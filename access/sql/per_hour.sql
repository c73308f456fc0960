-- Hours in which there were tool calls or model requests. Of other hours nothing is known: they are no rows. A cost of which a part is unknown is unknown.
SELECT
    toString(toStartOfHour(events.timestamp, 'UTC')) AS unit, toDateTime64(toStartOfHour(events.timestamp, 'UTC'), 9, 'UTC') AS timestamp,
    sum(events.duration_ms) AS duration_ms,
    if(countIf(events.cost_source = 'unknown') > 0, NULL, sum(events.cost_nanos) / 1e9) AS cost_usd,
    toFloat64(sum(events.input_tokens)) AS tokens_in,
    toFloat64(sum(events.output_tokens)) AS tokens_out,
    toFloat64(sum(events.cache_read_tokens)) AS cache_read_tokens,
    toFloat64(sum(events.cache_creation_tokens)) AS cache_creation_tokens,
    toFloat64(countIf(event_type = 'tool_result')) AS calls,
    toFloat64(countIf(event_type = 'api_request')) AS requests,
    toFloat64(countIf(failure != '')) AS error_count,
    toFloat64(uniqExactIf(cityHash64(session_id), session_id != '')) AS sessions,
    toFloat64(sum(events.result_bytes)) AS response_size
FROM telemetry_events AS events
WHERE event_type IN ('tool_result', 'api_request', 'api_error')
    AND events.timestamp >= {from:DateTime64(6, 'UTC')} AND events.timestamp < {to:DateTime64(6, 'UTC')} /* filters */
GROUP BY toStartOfHour(events.timestamp, 'UTC')
