-- Which share of the tool calls each tool has, and of the model requests each model, in a period and the one before.
-- Stretches of a session's work are the clusters over which the variance of a share is taken. Sessions, names and
-- stretches are grouped by hashes, several times as cheap as keys of many columns and texts; the roll-up has the names.
WITH
    multiIf(
        event_type = 'api_request', cityHash64(model),
        mcp_tool_name != '', intHash64(cityHash64(mcp_server_name)) + cityHash64(mcp_tool_name),
        cityHash64(tool_name)) AS name_hash,
    -- The lowest two bits of a hash are the period, and whether it is of tools.
    4 * name_hash + 2 * (event_type = 'tool_result') AS name_key,
    names AS (
        SELECT
            name_key AS named,
            any(multiIf(
                event_type = 'api_request', toString(model), mcp_tool_name != '', concat(mcp_server_name, '/', mcp_tool_name),
                toString(tool_name))) AS category
        FROM telemetry_daily
        WHERE event_type IN ('tool_result', 'api_request')
            AND day >= toDate({from:DateTime64(6, 'UTC')}, 'UTC') AND day <= toDate({to:DateTime64(6, 'UTC')}, 'UTC')
        GROUP BY name_key
    ),
    cells AS (
        SELECT part_hash % 4 AS of, sum(hits) AS tried, groupArray((part_hash, hits)) AS parts
        FROM (
            SELECT
                name_key + (timestamp >= {begins:DateTime64(6, 'UTC')}) AS part_hash,
                intHash64(cityHash64(session_id) + intDiv(toUnixTimestamp(timestamp), {stretch:UInt32})) AS stretch_hash,
                toFloat64(count()) AS hits
            FROM telemetry_events
            WHERE event_type IN ('tool_result', 'api_request')
                AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
            GROUP BY part_hash, stretch_hash
        )
        GROUP BY of, stretch_hash
    )
SELECT
    of % 2 = 1 AS is_now, if(of >= 2, 'tool calls', 'model requests') AS base, names.category AS category, is_total, failed,
    failed_squared, failed_tried, all_tried, tried_squared, stretches
FROM (
    SELECT
        of, 2 * intDiv(part.1, 2) AS named, part.3 AS is_total, sum(part.2) AS failed, sum(part.2 * part.2) AS failed_squared,
        sum(part.2 * tried) AS failed_tried, sumIf(tried, is_total) AS all_tried, sumIf(tried * tried, is_total) AS tried_squared,
        countIf(is_total) AS stretches
    FROM cells
    -- The part of all uses has no name.
    ARRAY JOIN arrayConcat([(toUInt64(0), toFloat64(0), 1)], arrayMap(one -> (one.1, one.2, 0), parts)) AS part
    GROUP BY of, named, is_total
) AS shares
LEFT JOIN names USING (named)
ORDER BY is_total DESC, failed DESC, base, category, is_now
LIMIT 2000
