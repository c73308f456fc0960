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
  before: 'calls in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
  before_percent: the share that failed in the period before
wide: [before, change_percent, before_percent]
example: {server: github, tool: search_issues, calls: 55, failures: 2, failure_percent: 3.6, p50_ms: 410, p95_ms: 1900, sessions: 14, result_mb: 0.92, requests: 50, usd: 1.13, recomputed_usd: 0, unpriced: 0, before: 48, change_percent: 14.6, before_percent: 4.2}
*/
WITH
    toStartOfHour({from:DateTime('UTC')}) AS begins,
    toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599)) AS ends,
    toDateTime(greatest(0, 2 * toUnixTimestamp(begins) - toUnixTimestamp(ends)), 'UTC') AS begins_before,
    -- Whether anything was recorded in the period before: else nothing is known of it, which is not 0.
    (
        SELECT count() > 0
        FROM (
            SELECT 1
            FROM telemetry_hourly
            WHERE hour >= begins_before AND hour < begins
                AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
                AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
            LIMIT 1
        )
    ) AS was_recorded,
    earlier AS (
        SELECT
            if(mcp_server_name = '', 'custom', mcp_server_name) AS name,
            if(mcp_server_name = '', 'custom', mcp_tool_name) AS its,
            count() AS number,
            countIf(success = false) AS failed
        FROM telemetry_events
        WHERE event_type = 'tool_result' AND (mcp_server_name != '' OR tool_name = 'mcp_tool') AND timestamp >= begins_before AND timestamp < begins
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY name, its
    ),
    quantilesExactOrNullIf(0.5, 0.95)(duration_ms, event_type = 'tool_result') AS took
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
    countIf(cost_source = 'unknown') AS unpriced,
    if(was_recorded, any(earlier.number), NULL) AS before,
    round(100 * (calls - before) / nullIf(before, 0), 1) AS change_percent,
    round(100 * any(earlier.failed) / nullIf(any(earlier.number), 0), 1) AS before_percent
FROM telemetry_events
LEFT JOIN earlier ON earlier.name = if(mcp_server_name = '', 'custom', mcp_server_name)
    AND earlier.its = if(mcp_server_name = '', 'custom', mcp_tool_name)
WHERE event_type IN ('tool_result', 'api_request') AND (mcp_server_name != '' OR tool_name = 'mcp_tool') AND timestamp >= begins AND timestamp < ends
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
GROUP BY server, tool
ORDER BY calls DESC, usd DESC, server, tool
