-- How good a period's events are, in one row. `quality` of an event has a flag for each value that is missing or cannot
-- be true. An outlier is a duration outside of Tukey's fences, those of its own kind of event.
WITH
    events AS (
        SELECT
            event_type, timestamp, quality, duration_ms, success, tool_name, model, cost_nanos, input_tokens,
            output_tokens, cache_read_tokens, cache_creation_tokens, result_bytes, prompt_length, attempt, cost_usd,
            session_id
        FROM telemetry_events
        WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
    ),
    fences AS (
        SELECT
            event_type,
            quantileExact(0.25)(duration_ms) AS lower,
            quantileExact(0.75)(duration_ms) AS upper,
            lower - 1.5 * (upper - lower) AS least,
            upper + 1.5 * (upper - lower) AS most
        FROM events
        WHERE duration_ms IS NOT NULL
        GROUP BY event_type
    ),
    -- The values that an event of its kind always has, by whether they are there.
    arrayConcat(
        [('session_id', session_id != '')],
        if(event_type = 'tool_result', [
            ('tool_name', tool_name != ''), ('success', success IS NOT NULL), ('duration_ms', duration_ms IS NOT NULL)], []),
        if(event_type = 'api_request', [
            ('model', model != ''), ('cost_usd', cost_nanos IS NOT NULL), ('duration_ms', duration_ms IS NOT NULL),
            ('input_tokens', input_tokens IS NOT NULL), ('output_tokens', output_tokens IS NOT NULL)], [])) AS expected,
    arrayMap(point -> concat(event_type, '.', point.1), arrayFilter(point -> NOT point.2, expected)) AS absent,
    arrayFilter(flag -> NOT match(flag, '^(no|empty)_'), quality) AS faults
SELECT
    count() AS records,
    countIf(empty(quality)) AS complete,
    countIf(empty(faults)) AS compliant,
    sum(length(expected)) AS points,
    sum(length(absent)) AS missing_points,
    sumMap(mapFromArrays(absent, arrayMap(name -> 1, absent))) AS missing,
    sumMap(mapFromArrays(faults, arrayMap(name -> 1, faults))) AS impossible,
    countIf(duration_ms IS NOT NULL) AS measured,
    countIf(duration_ms < least OR duration_ms > most) AS outliers,
    maxIf(timestamp, timestamp <= now64(9, 'UTC')) AS newest,
    countIf(timestamp <= now64(9, 'UTC')) AS dated /* rules */
FROM events
LEFT JOIN fences USING (event_type)
