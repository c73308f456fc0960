-- Which of the ids {ids} the store has already, by event type, of the events between {from} and {to}.
SELECT DISTINCT event_type, id
FROM (
    SELECT
        event_type,
        arrayJoin([
            request_id, tool_use_id, attributes['message.uuid'], if(event_type = 'user_prompt', prompt_id, '')]) AS id
    FROM telemetry_events
    WHERE event_type IN ({types:Array(String)}) AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
)
WHERE id IN ({ids:Array(String)})
