-- With what is recomputed and unknown of the cost.
ALTER TABLE telemetry_sessions_mv MODIFY QUERY
WITH toDateTime64(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 3, 'UTC') AS time
SELECT
    toDate(time, 'UTC') AS day,
    session_id,
    min(time) AS started,
    max(time) AS ended,
    max(user_id) AS user_id,
    max(team) AS team,
    max(department) AS department,
    max(project) AS project,
    max(service_name) AS service_name,
    max(service_version) AS service_version,
    max(terminal_type) AS terminal_type,
    groupUniqArrayIf(model, event_type = 'api_request') AS models,
    count() AS events,
    countIf(event_type = 'user_prompt') AS prompts,
    countIf(event_type = 'api_request') AS requests,
    countIf(event_type = 'tool_result') AS tool_calls,
    countIf(event_type = 'tool_result' AND success = false) AS tools_failed,
    countIf(event_type = 'tool_decision' AND decision = 'reject') AS tools_rejected,
    countIf(event_type = 'api_error') AS api_errors,
    countIf(event_type = 'api_retries_exhausted') AS retries_exhausted,
    countIf(failure != '') AS failures,
    countIf(event_type = 'compaction') AS compactions,
    sumIf(ifNull(input_tokens, 0), event_type = 'api_request') AS input_tokens,
    sumIf(ifNull(output_tokens, 0), event_type = 'api_request') AS output_tokens,
    sumIf(ifNull(cache_read_tokens, 0), event_type = 'api_request') AS cache_read_tokens,
    sumIf(ifNull(cache_creation_tokens, 0), event_type = 'api_request') AS cache_creation_tokens,
    sumIf(ifNull(cost_nanos, 0), event_type = 'api_request') AS cost_nanos,
    sumIf(ifNull(e.cost_nanos, 0), e.cost_source = 'recomputed') AS recomputed_nanos,
    countIf(e.cost_source = 'unknown') AS unpriced,
    maxIf(time, failure != '') AS last_failure,
    maxIf(time, event_type = 'api_request' OR (event_type = 'tool_result' AND success)) AS last_success
FROM telemetry_events AS e
WHERE session_id != ''
GROUP BY day, session_id
