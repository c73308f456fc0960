-- Data points like Claude Code's, one of each counter a session and five minutes.
INSERT INTO otel_metrics_sum (ResourceAttributes, ServiceName, MetricName, Attributes, StartTimeUnix, TimeUnix, Value, AggregationTemporality, IsMonotonic)
WITH
    intDiv(number, 80) AS session,
    cityHash64(session, 'session') AS h,
    cityHash64(number, 'point') AS e,
    toUInt32(500 * pow((h % 1000003) / 1000003, 2)) AS person,
    reinterpretAsUUID(concat(reinterpretAsString(h), reinterpretAsString(cityHash64(h)))) AS session_id,
    number % 8 AS kind,
    intDiv(number % 80, 8) AS minute,
    ['cost.usage', 'token.usage', 'token.usage', 'lines_of_code.count', 'commit.count', 'pull_request.count', 'active_time.total',
        'code_edit_tool.decision'][1 + kind] AS name,
    {begin:DateTime64(9)} + toIntervalSecond(
        toUInt64(session * {days:UInt32} / {sessions:UInt64}) * 86400 + 28800 + h % 32400 + minute * 300) AS time
SELECT
    map('service.name', 'claude-code', 'team.id', concat('team ', toString(person % 12))) AS ResourceAttributes,
    'claude-code' AS ServiceName,
    concat('claude_code.', name) AS MetricName,
    mapSort(mapUpdate(
        map(
            'session.id', toString(session_id), 'team.id', concat('team ', toString(person % 12)),
            'user.email', concat('sha256:', lower(hex(SHA256(toString(person)))))),
        multiIf(
            kind = 0, map('model', 'claude-opus-5-5', 'query_source', 'main'),
            kind IN (1, 2), map('model', 'claude-opus-5-5', 'type', ['input', 'output'][kind]),
            kind = 3, map('type', if(e % 3 = 0, 'removed', 'added')),
            kind = 7, map(
                'tool_name', 'Edit', 'decision', if(e % 20 = 0, 'reject', 'accept'),
                'source', if(e % 4 = 0, 'user_temporary', 'config'), 'language', ['Python', 'Go', 'TypeScript'][1 + e % 3]),
            map('type', 'cli')))) AS Attributes,
    time - toIntervalSecond(300) AS StartTimeUnix,
    time AS TimeUnix,
    multiIf(kind = 0, 0.1, kind IN (4, 5), toFloat64(e % 10 = 0), toFloat64(e % 500)) AS Value,
    1 AS AggregationTemporality,
    true AS IsMonotonic
FROM numbers({first:UInt64}, {count:UInt64})
