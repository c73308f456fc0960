-- Events in the order in which they were inserted. A part's name ends in its first and last insert, so that parts without
-- any of these are not read; within an insert, merges leave the order as it was.
SELECT
    _block_number AS block, timestamp, event_type, session_id, mcp_server_name AS mcp_server,
    if(mcp_tool_name != '', mcp_tool_name, tool_name) AS tool, model, failure, status_code,
    substringUTF8(concat(api_error_message, error_message), 1, 300) AS message,
    duration_ms, input_tokens AS tokens_in, output_tokens AS tokens_out, cost_usd, result_bytes AS response_size
FROM telemetry_events
WHERE toUInt64OrZero(splitByChar('_', _part)[3]) >= {block:UInt64}
    AND _block_number >= {block:UInt64} AND _block_number <= {last:UInt64} /* filters */
ORDER BY _block_number, _part_offset
LIMIT {limit:UInt64} OFFSET {skip:UInt64}
