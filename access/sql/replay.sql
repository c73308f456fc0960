-- The events of one session in their order: whose they are (a subagent's, or the session's own), and what each did.
SELECT
    timestamp,
    event_type,
    prompt_id,
    multiIf(
        attributes['agent_id'] != '', attributes['agent_id'],
        agent_name != '', agent_name,
        startsWith(query_source, 'agent:'), query_source,
        '') AS lane,
    if(agent_name != '', agent_name, query_source) AS agent,
    attributes['is_async'] = 'true' AS is_async,
    tool_name,
    tool_use_id,
    if(mcp_tool_name != '', concat(mcp_server_name, ' ', mcp_tool_name), concat(command, mcp_server_name)) AS detail,
    model,
    decision,
    decision_source,
    success,
    failure,
    duration_ms,
    ttft_ms,
    result_bytes,
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cache_creation_tokens,
    cost_usd,
    attempt,
    status_code,
    substringUTF8(concat(api_error_message, error_message), 1, 500) AS message,
    trimBoth(concat(
        attributes['hook_event'], ' ', if(attributes['hook_name'] = attributes['hook_event'], '', attributes['hook_name']), ' ', attributes['trigger'], ' ', attributes['status'], ' ',
        attributes['from_mode'], if(attributes['to_mode'] != '', ' to ', ''), attributes['to_mode'], ' ', skill_name)) AS about
FROM telemetry_events
WHERE session_id = {session:String}
    AND timestamp >= (SELECT min(started) FROM telemetry_sessions WHERE session_id = {session:String})
    AND timestamp < (SELECT max(ended) FROM telemetry_sessions WHERE session_id = {session:String}) + toIntervalMillisecond(1)
ORDER BY timestamp, sequence
LIMIT {limit:UInt64}
