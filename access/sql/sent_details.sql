-- How many tool calls of a period have details, and how many there are.
-- The input of a tool is sent with its details, and hashed; its number alone is here.
SELECT countIf(input_id != 0 OR command != '') AS detailed, count() AS tool_calls
FROM telemetry_events
WHERE event_type = 'tool_result' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({session:String} = '' OR session_id = {session:String})
