-- Tool calls that ended.
SELECT
    if(tool_use_id != '', tool_use_id, session_id) AS unit, timestamp,
    toFloat64(duration_ms) AS duration_ms,
    toFloat64(result_bytes) AS response_size,
    toFloat64(failure != '') AS error_count
FROM telemetry_events
WHERE event_type = 'tool_result'
    AND timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
