-- Sessions, by what their events of the period add up to. A sum over nothing is unknown, and so is a cost of which a part is.
SELECT
    session_id AS unit, min(timestamp) AS timestamp,
    sum(events.duration_ms) AS duration_ms,
    if(countIf(events.cost_source = 'unknown') > 0, NULL, sum(events.cost_nanos) / 1e9) AS cost_usd,
    toFloat64(sum(events.input_tokens)) AS tokens_in,
    toFloat64(sum(events.output_tokens)) AS tokens_out,
    toFloat64(sum(events.cache_read_tokens)) AS cache_read_tokens,
    toFloat64(sum(events.cache_creation_tokens)) AS cache_creation_tokens,
    toFloat64(countIf(event_type = 'tool_result')) AS calls,
    toFloat64(countIf(event_type = 'api_request')) AS requests,
    toFloat64(countIf(failure != '')) AS error_count,
    toFloat64(sum(events.result_bytes)) AS response_size
FROM telemetry_events AS events
WHERE event_type IN ('tool_result', 'api_request', 'api_error') AND session_id != ''
    AND events.timestamp >= {from:DateTime64(6, 'UTC')} AND events.timestamp < {to:DateTime64(6, 'UTC')} /* filters */
GROUP BY session_id
