/*
question: Which MCP servers fail to connect?
topic: tools
needs: [events, tool-details]
empty: 'no client connected to an MCP server in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  server: the MCP server, where its name was sent
  transport: stdio, sse or http
  scope: where it is configured
  connected: connections that succeeded
  failed: those that failed
  failed_percent: their share
  disconnected: connections that ended
  p50_ms: half of the attempts took no longer
  p95_ms: nineteen of twenty took no longer
  sessions: sessions with a failure
  error: the latest error, redacted, or its code
  before: 'failed connections in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent, scope, disconnected, sessions]
example: {server: github, transport: http, scope: user, connected: 88, failed: 4, failed_percent: 4.3, disconnected: 2, p50_ms: 310, p95_ms: 2200, sessions: 3, error: connect ECONNREFUSED, before: 3, change_percent: 33.3}
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
            mcp_server_name AS name,
            attributes['transport_type'] AS way,
            attributes['server_scope'] AS place,
            countIf(attributes['status'] = 'failed') AS number
        FROM telemetry_events
        WHERE event_type = 'mcp_server_connection' AND timestamp >= begins_before AND timestamp < begins
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY name, way, place
    ),
    quantilesExactOrNull(0.5, 0.95)(duration_ms) AS took
SELECT
    mcp_server_name AS server,
    attributes['transport_type'] AS transport,
    attributes['server_scope'] AS scope,
    countIf(attributes['status'] = 'connected') AS connected,
    countIf(attributes['status'] = 'failed') AS failed,
    round(100 * failed / nullIf(connected + failed, 0), 1) AS failed_percent,
    countIf(attributes['status'] = 'disconnected') AS disconnected,
    if(empty(took), NULL, round(took[1])) AS p50_ms,
    if(empty(took), NULL, round(took[2])) AS p95_ms,
    uniqExactIf(cityHash64(session_id), attributes['status'] = 'failed') AS sessions,
    argMaxIf(if(error_message = '', attributes['error_code'], error_message), timestamp, attributes['status'] = 'failed') AS error,
    if(was_recorded, any(earlier.number), NULL) AS before,
    round(100 * (failed - before) / nullIf(before, 0), 1) AS change_percent
FROM telemetry_events
LEFT JOIN earlier
    ON earlier.name = mcp_server_name AND earlier.way = attributes['transport_type'] AND earlier.place = attributes['server_scope']
WHERE event_type = 'mcp_server_connection' AND timestamp >= begins AND timestamp < ends
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String})
GROUP BY server, transport, scope
ORDER BY failed DESC, connected DESC, server, transport, scope
