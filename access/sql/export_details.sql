-- A row of `benchmarks` as an object of the document.
SELECT
    benchmark_id AS id,
    concat(replaceOne(toString(toTimeZone(toDateTime64(timestamp, 3), 'UTC')), ' ', 'T'), 'Z') AS timestamp,
    mcp_server AS mcpServer,
    task_type AS taskType,
    duration_ms AS duration,
    CAST((tokens_in, tokens_out, tokens_total), 'Tuple(input UInt64, output UInt64, total UInt64)') AS tokenUsage,
    cost_usd AS costUsd,
    CAST(success, 'Bool') AS success,
    error_count AS errorCount,
    nullIf(details, '') AS errorDetails,
    CAST(
        (retrieval_calls, retrieval_ms, avg_response_size),
        'Tuple(count UInt64, totalDuration Float64, avgResponseSize Nullable(Float64))') AS retrievalCalls
FROM (/* benchmarks */) AS found
LEFT JOIN (
    SELECT
        session_id AS failed_session,
        mcp_server_name AS failed_server,
        arrayStringConcat(arraySort(groupUniqArray(20)(/* details */)), '; ') AS details
    FROM telemetry_events
    WHERE failure != '' AND event_type IN ('tool_result', 'api_request', 'api_error')
        AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
    GROUP BY failed_session, failed_server
) AS failures ON found.session = failed_session AND found.mcp_server = failed_server
ORDER BY timestamp, id
