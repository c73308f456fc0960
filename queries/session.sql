/*
question: What happened in one session, step by step?
topic: sessions
needs: [events, tool-details]
empty: 'there is no such session: the question sessions lists them'
parameters:
  session: {default: '', meaning: 'the id of the session; empty: the latest'}
  limit: {default: 1000, meaning: 'how many events, from the beginning'}
columns:
  time: when it happened, UTC
  event: the kind of event
  what: the tool and its program, the model, the hook, or what else it was about
  outcome: ok, failed, or the decision
  ms: how long it took
  input_tokens: tokens sent, neither read from the cache nor written to it
  cache_tokens: tokens read from the cache and written to it
  output_tokens: tokens received
  usd: what it cost; empty when that is not known
  cost: 'reported by the client, recomputed from tokens and prices, or unknown; empty for what costs nothing'
  message: the message of an error, redacted
  prompt: the id of the prompt that it belongs to
wide: [prompt, cost, cache_tokens, input_tokens, output_tokens]
example: {time: '2026-11-22 09:14:03.120', event: tool_result, what: Bash git, outcome: failed, ms: 180, input_tokens: null, cache_tokens: null, output_tokens: null, usd: null, cost: '', message: Command failed with exit code 1, prompt: 9cb9600d-…}
*/
WITH
    if({session:String} = '',
        (SELECT argMax(session_id, ended) FROM telemetry_sessions WHERE day <= toDate(now('UTC'))), {session:String}) AS wanted,
    (SELECT min(started) FROM telemetry_sessions WHERE session_id = wanted) AS begun,
    (SELECT max(ended) FROM telemetry_sessions WHERE session_id = wanted) AS last
SELECT
    toDateTime64(timestamp, 3, 'UTC') AS time,
    event_type AS event,
    trimBoth(multiIf(
        tool_name = 'mcp_tool' AND mcp_tool_name != '', concat(mcp_server_name, ' ', mcp_tool_name),
        tool_name != '', concat(tool_name, ' ', command),
        model != '', concat(model, ' ', query_source),
        mcp_server_name != '', mcp_server_name,
        event_type = 'permission_mode_changed', concat(attributes['from_mode'], ' to ', attributes['to_mode']),
        startsWith(event_type, 'hook'), concat(attributes['hook_event'], ' ', attributes['hook_name']),
        concat(skill_name, attributes['trigger'], attributes['status']))) AS what,
    multiIf(failure != '', 'failed', decision != '' AND event_type = 'tool_decision', concat(decision, ' by ', decision_source), success, 'ok', '') AS outcome,
    duration_ms AS ms,
    input_tokens,
    coalesce(cache_read_tokens + cache_creation_tokens, cache_read_tokens, cache_creation_tokens) AS cache_tokens,
    output_tokens,
    if(event_type = 'api_request', cost_usd, NULL) AS usd,
    cost_source AS cost,
    concat(api_error_message, error_message) AS message,
    prompt_id AS prompt
FROM telemetry_events
WHERE timestamp >= begun AND timestamp < last + toIntervalMillisecond(1) AND session_id = wanted
ORDER BY timestamp, sequence
LIMIT {limit:UInt64}
