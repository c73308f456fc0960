-- How tools and models performed, for each value of one grouping.
SELECT
    /* group */ AS value,
    countIf(event_type = 'tool_result') AS calls,
    countIf(event_type = 'api_request') AS requests,
    uniqExactIf(session_id, session_id != '') AS sessions,
    countIf(failure != '') AS errors,
    avgOrNull(duration_ms) AS mean,
    quantileExactOrNull(0.5)(duration_ms) AS p50,
    quantileExactOrNull(0.95)(duration_ms) AS p95,
    quantileExactOrNull(0.99)(duration_ms) AS p99,
    ifNull(sum(input_tokens), 0) AS tokens_in,
    ifNull(sum(output_tokens), 0) AS tokens_out,
    countIf(cost_source = 'unknown') AS unpriced,
    if(unpriced > 0 AND unpriced = requests, NULL, ifNull(sum(cost_nanos), 0) / 1e9) AS cost,
    avg(result_bytes) AS response_size
FROM telemetry_events
WHERE event_type IN ('tool_result', 'api_request', 'api_error')
    AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
GROUP BY value
ORDER BY /* order */
LIMIT {most:UInt64}
