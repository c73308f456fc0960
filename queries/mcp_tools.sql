/*
question: Which tools of MCP servers are used, do they work, and what do their results cost?
topic: tools
needs: [events, tool-details]
note: >
  Names of servers that a user configured are only sent with OTEL_LOG_TOOL_DETAILS=1; they are `custom` otherwise.
empty: 'no tool of an MCP server was called in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  server: the MCP server
  tool: its tool
  calls: calls that ended
  failures: calls that failed
  failure_percent: their share
  p50_ms: half took no longer
  p95_ms: nineteen of twenty took no longer
  sessions: sessions that used it
  result_mb: megabytes that it gave back to the model
  requests: model requests that read its results
  usd: what these cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
example: {server: github, tool: search_issues, calls: 55, failures: 2, failure_percent: 3.6, p50_ms: 410, p95_ms: 1900, sessions: 14, result_mb: 0.92, requests: 50, usd: 1.13, recomputed_usd: 0, unpriced: 0}
*/
WITH quantilesExactOrNullIf(0.5, 0.95)(duration_ms, event_type = 'tool_result') AS took
SELECT
    if(mcp_server_name = '', 'custom', mcp_server_name) AS server,
    if(mcp_server_name = '', 'custom', mcp_tool_name) AS tool,
    countIf(event_type = 'tool_result') AS calls,
    countIf(event_type = 'tool_result' AND success = false) AS failures,
    round(100 * failures / nullIf(calls, 0), 1) AS failure_percent,
    if(empty(took), NULL, round(took[1])) AS p50_ms,
    if(empty(took), NULL, round(took[2])) AS p95_ms,
    uniqExactIf(cityHash64(session_id), event_type = 'tool_result') AS sessions,
    round(ifNull(sum(result_bytes), 0) / 1e6, 2) AS result_mb,
    countIf(event_type = 'api_request') AS requests,
    if(unpriced > 0 AND unpriced = requests, NULL, round(sumIf(ifNull(cost_nanos, 0), event_type = 'api_request') / 1e9, 4)) AS usd,
    round(sumIf(ifNull(cost_nanos, 0), cost_source = 'recomputed') / 1e9, 4) AS recomputed_usd,
    countIf(cost_source = 'unknown') AS unpriced
FROM telemetry_events
WHERE event_type IN ('tool_result', 'api_request') AND (mcp_server_name != '' OR tool_name = 'mcp_tool') AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
GROUP BY server, tool
ORDER BY calls DESC, usd DESC, server, tool
