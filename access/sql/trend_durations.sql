-- How long tool calls and model requests took, in a period and the one before. Each stretch of a session's work counts once.
-- Sessions, names and stretches are grouped by one hash: several times as cheap as a key of many columns and texts.
WITH
    multiIf(
        event_type = 'api_request', cityHash64(model),
        mcp_tool_name != '', intHash64(cityHash64(mcp_server_name)) + cityHash64(mcp_tool_name),
        cityHash64(tool_name)) AS name_hash,
    2 * intHash64(name_hash + (event_type = 'tool_result')) + (timestamp >= {begins:DateTime64(6, 'UTC')}) AS group_hash
SELECT
    if(is_tool, 'tool', 'model') AS kind,
    multiIf(NOT is_tool, model_name, mcp_tool != '', concat(mcp_server, '/', mcp_tool), tool) AS name,
    is_now, calls, stretches, mean, variance, took_ms, percentiles
FROM (
    SELECT
        group_hash AS named,
        any(event_type = 'tool_result') AS is_tool,
        any(timestamp >= {begins:DateTime64(6, 'UTC')}) AS is_now,
        any(model) AS model_name, any(mcp_server_name) AS mcp_server, any(mcp_tool_name) AS mcp_tool, any(tool_name) AS tool,
        count() AS calls,
        sum(assumeNotNull(duration_ms)) AS took_ms,
        quantilesExact(0.5, 0.95)(assumeNotNull(duration_ms)) AS percentiles
    FROM telemetry_events
    WHERE event_type IN ('tool_result', 'api_request') AND duration_ms IS NOT NULL
        AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
    GROUP BY group_hash
) AS names
INNER JOIN (
    SELECT
        measured, count() AS stretches, avg(log_mean) AS mean,
        if(count() > 1, varSampStable(log_mean), 0) AS variance
    FROM (
        -- Durations are about lognormal: the mean of logarithms is not ruled by the longest call.
        SELECT any(group_hash) AS measured, avg(log1p(assumeNotNull(duration_ms))) AS log_mean
        FROM telemetry_events
        WHERE event_type IN ('tool_result', 'api_request') AND duration_ms IS NOT NULL
            AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
        GROUP BY intHash64(group_hash) + intHash64(cityHash64(session_id) + intDiv(toUnixTimestamp(timestamp), {stretch:UInt32}))
    )
    GROUP BY measured
) AS stretches ON stretches.measured = names.named
ORDER BY calls DESC, kind, name, is_now
LIMIT 1000
