-- How often each kind of failure happened, of the attempts at which it could, in a period and the one before. Stretches
-- of a session's work are the clusters over which the variance of a share is taken. Sessions, tools and
-- stretches are grouped by one hash: several times as cheap as a key of many columns and texts.
WITH
    multiIf(event_type = 'tool_result', 1, event_type = 'mcp_server_connection', 2, event_type = 'hook_execution_complete', 3, 0) AS kind,
    cells AS (
        SELECT
            any(timestamp >= {begins:DateTime64(6, 'UTC')}) AS is_now,
            any(kind) AS of_kind,
            any(tool_name) AS tool,
            toFloat64(count()) AS tried,
            sumMapIf(map(toString(failure), toFloat64(1)), failure != '') AS hits
        FROM telemetry_events
        WHERE (event_type IN ('tool_result', 'api_request', 'mcp_server_connection', 'hook_execution_complete') OR failure != '')
            AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
        GROUP BY
            intHash64(cityHash64(session_id) + intDiv(toUnixTimestamp(timestamp), {stretch:UInt32}))
            + intHash64(if(kind = 1, cityHash64(tool_name), kind)) + (timestamp >= {begins:DateTime64(6, 'UTC')})
    )
SELECT
    is_now, base, part.1 AS category, category = '' AS is_total, part.2 AS failed, part.3 AS failed_squared,
    part.4 AS failed_tried, all_tried, tried_squared, stretches
FROM (
    SELECT
        is_now,
        multiIf(
            of_kind = 1, concat('calls of ', tool), of_kind = 2, 'connections to MCP servers', of_kind = 3, 'hooks',
            'model requests') AS base,
        sum(tried) AS all_tried,
        sum(tried * tried) AS tried_squared,
        count() AS stretches,
        sumMap(hits) AS counts,
        sumMap(mapApply((category, count) -> (category, count * count), hits)) AS squares,
        sumMap(mapApply((category, count) -> (category, count * tried), hits)) AS products
    FROM cells
    GROUP BY is_now, base
)
-- The row of all attempts has no category.
ARRAY JOIN arrayConcat(
    [('', toFloat64(0), toFloat64(0), toFloat64(0))],
    arrayMap(name -> (name, counts[name], squares[name], products[name]), mapKeys(counts))) AS part
ORDER BY is_total DESC, failed DESC, base, category, is_now
LIMIT 2000
