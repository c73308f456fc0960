-- How long tool calls and model requests took, in a period and the one before. Each stretch of a session's work counts once.
-- Sessions, names and stretches are grouped by hashes: several times as cheap as keys of many columns and texts; the roll-up
-- has the names.
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
                toString(tool_name))) AS name
        FROM telemetry_daily
        WHERE event_type IN ('tool_result', 'api_request')
            AND day >= toDate({from:DateTime64(6, 'UTC')}, 'UTC') AND day <= toDate({to:DateTime64(6, 'UTC')}, 'UTC')
        GROUP BY name_key
    )
SELECT
    if(part_hash % 4 >= 2, 'tool', 'model') AS kind, names.name AS name, part_hash % 2 = 1 AS is_now, calls, stretches, mean,
    variance, took_ms, percentiles
FROM (
    SELECT
        part_hash, 2 * intDiv(part_hash, 2) AS named, sum(called) AS calls, count() AS stretches, avg(log_mean) AS mean,
        if(count() > 1, varSampStable(log_mean), 0) AS variance,
        sum(took) AS took_ms,
        quantilesExactArray(0.5, 0.95)(durations) AS percentiles
    FROM (
        SELECT
            name_key + (timestamp >= {begins:DateTime64(6, 'UTC')}) AS part_hash,
            count() AS called,
            sum(assumeNotNull(duration_ms)) AS took,
            -- Durations are about lognormal: the mean of logarithms is not ruled by the longest call.
            avg(log1p(assumeNotNull(duration_ms))) AS log_mean,
            groupArray(assumeNotNull(duration_ms)) AS durations
        FROM telemetry_events
        WHERE event_type IN ('tool_result', 'api_request') AND duration_ms IS NOT NULL
            AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
        GROUP BY part_hash, cityHash64(session_id) + intDiv(toUnixTimestamp(timestamp), {stretch:UInt32})
    )
    GROUP BY part_hash
) AS parts
LEFT JOIN names USING (named)
ORDER BY calls DESC, kind, name, is_now
LIMIT 1000
