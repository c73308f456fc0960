-- Which share of the tool calls each tool has, and of the model requests each model, in a period and the one before.
-- Stretches of a session's work are the clusters over which the variance of a share is taken. Sessions, names and
-- stretches are grouped by one hash: several times as cheap as a key of many columns and texts.
WITH
    multiIf(
        event_type = 'api_request', cityHash64(model),
        mcp_tool_name != '', intHash64(cityHash64(mcp_server_name)) + cityHash64(mcp_tool_name),
        cityHash64(tool_name)) AS name_hash,
    intHash64(cityHash64(session_id) + intDiv(toUnixTimestamp(timestamp), {stretch:UInt32}))
        + 2 * (event_type = 'tool_result') + (timestamp >= {begins:DateTime64(6, 'UTC')}) AS cell_hash,
    counted AS (
        SELECT
            any(cell_hash) AS cell,
            any(timestamp >= {begins:DateTime64(6, 'UTC')}) AS is_now,
            any(event_type = 'tool_result') AS is_tool,
            multiIf(
                NOT is_tool, any(model), any(mcp_tool_name) != '', concat(any(mcp_server_name), '/', any(mcp_tool_name)),
                any(tool_name)) AS category,
            toFloat64(count()) AS hits
        FROM telemetry_events
        WHERE event_type IN ('tool_result', 'api_request')
            AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
        GROUP BY intHash64(name_hash) + cell_hash
    ),
    cells AS (
        SELECT any(is_now) AS is_now, any(is_tool) AS is_tool, sum(hits) AS tried, groupArray((category, hits)) AS parts
        FROM counted
        GROUP BY cell
    )
SELECT
    is_now, if(is_tool, 'tool calls', 'model requests') AS base, category, is_total, failed, failed_squared,
    failed_tried, all_tried, tried_squared, stretches
FROM (
    SELECT
        is_now, is_tool, part.1 AS category, part.3 AS is_total, sum(part.2) AS failed, sum(part.2 * part.2) AS failed_squared,
        sum(part.2 * tried) AS failed_tried, sumIf(tried, is_total) AS all_tried, sumIf(tried * tried, is_total) AS tried_squared,
        countIf(is_total) AS stretches
    FROM cells
    -- The part of all uses has no name.
    ARRAY JOIN arrayConcat([('', toFloat64(0), 1)], arrayMap(one -> (one.1, one.2, 0), parts)) AS part
    GROUP BY is_now, is_tool, category, is_total
)
ORDER BY is_total DESC, failed DESC, base, category, is_now
LIMIT 2000
