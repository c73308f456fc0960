-- The events that a finding is about: how many, whose, in which sessions, what they say by shape, and the requests that
-- came next in their sessions, each of which is counted once.
WITH
    bad AS (
        SELECT
            timestamp, session_id, user_id, team, service_version, ifNull(duration_ms, 0) AS ms, error_type,
            if(event_type IN ('api_error', 'api_retries_exhausted'), api_error_message, error_message) AS message,
            -- What is put in is never longer than what it replaces. Said by `substring`, it lets a reader's statement take
            -- many rows at a time.
            replaceRegexpAll(substring(message, 1, 300), '(sha256:)?[0-9a-fA-F]{8,}(-[0-9a-fA-F]{4,})*', '…') AS without_ids,
            replaceRegexpAll(substring(without_ids, 1, 300), '(/[\\w.@-]+){2,}', '/…') AS without_paths,
            replaceRegexpAll(substring(without_paths, 1, 300), '[0-9]+', '#') AS shape
        FROM telemetry_events
        WHERE timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
            AND event_type IN (SELECT arrayJoin(splitByChar(',', {types:String})))
            -- Apart from the others: the map of attributes is read for hooks alone.
            AND (NOT startsWith({measure:String}, 'hook') OR attributes['hook_name'] = {thing:String})
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
            AND {value:String} = multiIf(
                {dimension:String} = 'team', toString(team),
                {dimension:String} = 'user', toString(user_id),
                {dimension:String} = 'users', if(has(JSONExtract({value:String}, 'Array(String)'), toString(user_id)), {value:String}, ''),
                {dimension:String} = 'project', toString(project),
                {dimension:String} = 'model', toString(model_name),
                {dimension:String} = 'version', toString(service_version),
                '')
            AND multiIf(
                {measure:String} IN ('tool fails', 'loops'), failure != '' AND {thing:String} IN (toString(tool_name), concat(tool_name, ' ', command), concat('MCP server ', mcp_server_name)),
                {measure:String} = 'tool time', {thing:String} IN (toString(tool_name), concat(tool_name, ' ', command), concat('MCP server ', mcp_server_name)),
                {measure:String} = 'api', api_error_code = {thing:String},
                {measure:String} = 'connection', failure != '' AND mcp_server_name = {thing:String},
                {measure:String} = 'refusals', decision = 'reject' AND tool_name = {thing:String},
                {measure:String} = 'model', model_name = {thing:String},
                {measure:String} = 'subagents', event_type = 'subagent_completed' OR tool_name IN ('Agent', 'Task'),
                {measure:String} IN ('first token', 'request time', 'retries'), {thing:String} = '' OR model_name = {thing:String},
                {measure:String} = 'hook fails', failure != '',
                {measure:String} = 'hook blocks', decision = 'block',
                true)
    ),
    next AS (
        SELECT uniqExact(session, at) AS requests, sum(nanos / shared) / 1e9 AS usd
        FROM (
            SELECT bad.session_id AS session, asked.timestamp AS at, asked.nanos AS nanos, count() OVER (PARTITION BY session, at) AS shared
            FROM bad
            ASOF JOIN (
                SELECT toString(session_id) AS session_id, timestamp, ifNull(cost_nanos, 0) AS nanos
                FROM telemetry_events
                WHERE event_type = 'api_request' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
                    AND session_id IN (SELECT session_id FROM bad)
            ) AS asked ON toString(bad.session_id) = asked.session_id AND bad.timestamp <= asked.timestamp
            WHERE {measure:String} IN ('tool fails', 'loops', 'refusals', 'hook blocks')
        )
    )
SELECT
    count() AS events,
    sum(ms) AS ms,
    any((SELECT usd FROM next)) AS next_usd,
    any((SELECT requests FROM next)) AS next_requests,
    arraySlice(arrayReverseSort(one -> one.2, arrayZip(mapKeys(sumMap(map(toString(session_id), toUInt64(1))) AS by_session), mapValues(by_session))), 1, 3) AS sessions,
    arraySlice(arrayReverseSort(one -> one.2, arrayZip(mapKeys(sumMap(map(toString(user_id), toUInt64(1))) AS by_user), mapValues(by_user))), 1, 20) AS users,
    arraySlice(arrayReverseSort(one -> one.2, arrayZip(mapKeys(sumMap(map(toString(team), toUInt64(1))) AS by_team), mapValues(by_team))), 1, 10) AS teams,
    arraySlice(arrayReverseSort(one -> one.2, arrayZip(mapKeys(sumMap(map(toString(service_version), toUInt64(1))) AS by_version), mapValues(by_version))), 1, 5) AS versions,
    arraySlice(arrayReverseSort(one -> one.2, arrayZip(mapKeys(sumMap(map(shape, toUInt64(1))) AS by_shape), mapValues(by_shape))), 1, 3) AS shapes
FROM bad
