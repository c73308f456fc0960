-- How often each kind of failure happened, of the attempts at which it could, in a period and the one before. Stretches
-- of a session's work are the clusters over which the variance of a share is taken. Sessions and stretches are grouped by
-- one hash, kinds, tools and periods by another: several times as cheap as a key of many columns and texts. The name of a
-- tool comes with its failures: without any, it has no share.
WITH
    multiIf(event_type = 'tool_result', 1, event_type = 'mcp_server_connection', 2, event_type = 'hook_execution_complete', 3, 0) AS kind,
    cells AS (
        SELECT
            2 * if(kind = 1, cityHash64(tool_name), kind) + (timestamp >= {begins:DateTime64(6, 'UTC')}) AS base_hash,
            toFloat64(count()) AS tried,
            groupArrayIf((failure, tool_name), failure != '') AS hits,
            CAST(hits.1, 'Array(String)') AS categories,
            arrayDistinct(categories) AS names,
            arrayMap(name -> toFloat64(countEqual(categories, name)), names) AS counts
        FROM telemetry_events
        WHERE (event_type IN ('tool_result', 'api_request', 'mcp_server_connection', 'hook_execution_complete') OR failure != '')
            AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
        GROUP BY base_hash, intHash64(cityHash64(session_id) + intDiv(toUnixTimestamp(timestamp), {stretch:UInt32}))
    )
SELECT
    base_hash % 2 = 1 AS is_now,
    multiIf(
        of_kind = 0, 'model requests', of_kind = 2, 'connections to MCP servers', of_kind = 3, 'hooks',
        concat('calls of ', tool_of_both)) AS base,
    part.1 AS category, category = '' AS is_total, part.2 AS failed, part.3 AS failed_squared,
    part.4 AS failed_tried, all_tried, tried_squared, stretches
FROM (
    SELECT
        base_hash,
        sum(tried) AS all_tried,
        sum(tried * tried) AS tried_squared,
        count() AS stretches,
        anyIf(hits.2[1], notEmpty(hits)) AS tool,
        intDiv(base_hash, 2) AS of_kind,
        max(tool) OVER (PARTITION BY of_kind) AS tool_of_both,
        sumMap(names, counts) AS sums,
        sumMap(names, arrayMap(count -> count * count, counts)) AS squares,
        sumMap(names, arrayMap(count -> count * tried, counts)) AS products
    FROM cells
    GROUP BY base_hash
)
-- The row of all attempts has no category.
ARRAY JOIN arrayConcat(
    [('', toFloat64(0), toFloat64(0), toFloat64(0))],
    arrayMap((name, sum, square, product) -> (name, sum, square, product), sums.1, sums.2, squares.2, products.2)) AS part
WHERE tool_of_both != '' OR of_kind IN (0, 2, 3)
ORDER BY is_total DESC, failed DESC, base, category, is_now
LIMIT 2000
