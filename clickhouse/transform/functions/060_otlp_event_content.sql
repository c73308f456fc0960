-- The hash of an event's record, by which it is known when it arrives again; 0 for a record that other records may equal:
-- it has no time, or nothing in it tells it from the next one of its session. A product, since a branch would compute
-- the attributes once more.
CREATE OR REPLACE FUNCTION otlp_event_content AS (time, body, event_name, attributes) ->
    cityHash64(time, body, event_name, attributes) * (
        time != toDateTime64(0, 9, 'UTC')
        AND (attributes['event.sequence'] != '' OR attributes['request_id'] != '' OR attributes['tool_use_id'] != ''))
