-- Events that the client itself sent without an id, in the sessions {sessions}, between {from} and {to}.
SELECT event_type, session_id, ifNull(output_tokens, 0) AS output, toUnixTimestamp64Nano(timestamp) AS time
FROM telemetry_events
WHERE event_type IN ({types:Array(String)}) AND session_id IN ({sessions:Array(String)})
    AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
    AND request_id = '' AND tool_use_id = '' AND NOT (event_type = 'user_prompt' AND prompt_id != '')
    AND attributes['telemetry.imported'] = ''
ORDER BY time
