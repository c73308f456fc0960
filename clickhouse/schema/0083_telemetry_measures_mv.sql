-- Filled with what is stored. Events of other kinds are counted nowhere in findings, and are not here.
CREATE MATERIALIZED VIEW IF NOT EXISTS telemetry_measures_mv TO telemetry_measures AS
WITH
    event_type = 'api_request' AS is_request,
    e.duration_ms IS NOT NULL AND (event_type != 'tool_result' OR failure = '') AS is_timed,
    log(greatest(ifNull(e.duration_ms, 1), 1)) AS logged,
    is_request AND e.ttft_ms > 0 AS has_first,
    log(greatest(ifNull(e.ttft_ms, 1), 1)) AS logged_first,
    ifNull(e.input_tokens, 0) + ifNull(e.cache_read_tokens, 0) + ifNull(e.cache_creation_tokens, 0) AS prompt,
    is_request AND prompt >= 4000 AS is_cacheable,
    1 - ifNull(e.cache_read_tokens, 0) / prompt AS share,
    is_request AND e.cost_nanos > 0 AS is_priced,
    log(ifNull(e.cost_nanos, 1) / 1e9) AS logged_cost,
    if(is_request, ifNull(e.cost_nanos, 0), 0) AS nanos
SELECT
    toStartOfHour(toDateTime(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')) AS hour,
    event_type,
    multiIf(
        event_type IN ('tool_result', 'tool_decision'), tool_name,
        event_type IN ('api_request', 'api_error'), model_name,
        event_type = 'hook_execution_complete', toLowCardinality(attributes['hook_name']),
        event_type = 'mcp_server_connection', e.mcp_server_name,
        '') AS thing,
    multiIf(event_type = 'tool_result', command, event_type = 'api_error', api_error_code, '') AS part,
    if(event_type = 'tool_result', e.mcp_server_name, '') AS mcp_server_name,
    user_id, team, project, service_name, service_version,
    count() AS events,
    countIf(failure != '') AS failures,
    countIf(decision IN ('reject', 'block')) AS refusals,
    countIf(event_type = 'tool_result' AND input_id != 0) AS repeatable,
    sum(ifNull(e.duration_ms, 0)) AS duration_ms,
    sumIf(ifNull(e.duration_ms, 0), failure != '') AS failed_ms,
    countIf(is_timed) AS timed,
    sumIf(logged, is_timed) AS log_ms,
    sumIf(logged * logged, is_timed) AS log_ms_squared,
    countIf(has_first) AS ttft_timed,
    sumIf(ifNull(e.ttft_ms, 0), has_first) AS ttft_ms,
    sumIf(logged_first, has_first) AS log_ttft,
    sumIf(logged_first * logged_first, has_first) AS log_ttft_squared,
    sumIf(ifNull(e.input_tokens, 0), is_request) AS input_tokens,
    sumIf(ifNull(e.output_tokens, 0), is_request) AS output_tokens,
    sumIf(ifNull(e.cache_read_tokens, 0), is_request) AS cache_read_tokens,
    sumIf(ifNull(e.cache_creation_tokens, 0), is_request) AS cache_creation_tokens,
    countIf(is_cacheable) AS cacheable,
    sumIf(share, is_cacheable) AS uncached,
    sumIf(share * share, is_cacheable) AS uncached_squared,
    sum(nanos) AS cost_nanos,
    sumIf(nanos, cost_source = 'recomputed') AS recomputed_nanos,
    countIf(cost_source = 'unknown') AS unpriced,
    sumIf(nanos, agent_name != '' OR startsWith(query_source, 'agent')) AS agents_nanos,
    sumIf(nanos, query_source = 'compact') AS compactions_nanos,
    countIf(is_priced) AS priced,
    sumIf(logged_cost, is_priced) AS log_usd,
    sumIf(logged_cost * logged_cost, is_priced) AS log_usd_squared,
    max(toDateTime(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')) AS last_seen
FROM telemetry_events AS e
WHERE (event_type IN ('api_request', 'api_error', 'tool_result', 'hook_execution_complete', 'user_prompt', 'compaction', 'subagent_completed')
        -- What a rule allows is no answer of a person.
        OR (event_type = 'tool_decision' AND (decision = 'reject' OR startsWith(decision_source, 'user')))
        OR (event_type = 'mcp_server_connection' AND attributes['status'] IN ('connected', 'failed')))
GROUP BY ALL
