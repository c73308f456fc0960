-- The rows of `benchmarks` as a table for statistics.
SELECT
    /* benchmark_id */ AS benchmark_id,
    concat(replaceOne(toString(toTimeZone(toDateTime64(timestamp, 3), 'UTC')), ' ', 'T'), 'Z') AS timestamp,
    /* mcp_server */ AS mcp_server,
    /* task_type */ AS task_type,
    duration_ms, tokens_in, tokens_out, CAST(success, 'Bool') AS success, error_count, retrieval_calls, avg_response_size
FROM (/* benchmarks */)
ORDER BY timestamp, benchmark_id
