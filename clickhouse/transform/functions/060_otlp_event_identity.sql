-- The hash of what an event reports, 0 where it names nothing: one model request, or one call of a tool, and which event
-- of it. Only events of which there is one for each are known by it: a call has many hooks.
CREATE OR REPLACE FUNCTION otlp_event_identity AS (body, event_name, attributes) ->
    cityHash64(
        if(attributes['event.name'] != '', attributes['event.name'],
            replaceOne(if(event_name != '', event_name, body), 'claude_code.', '')) AS type,
        attributes['session.id'],
        if(startsWith(type, 'api_'), attributes['request_id'], attributes['tool_use_id']) AS id)
    * (id != '' AND type IN ('api_request', 'api_error', 'tool_result'))
