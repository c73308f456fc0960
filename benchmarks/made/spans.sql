-- Spans like Claude Code's, made from their numbers alone: ten to a prompt.
INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, SpanAttributes, Duration)
WITH
    intDiv(number, 200) AS session,
    number % 200 AS step,
    intDiv(step, 10) AS prompt,
    step % 10 AS part,
    cityHash64(session, 'session') AS h,
    cityHash64(number, 'span') AS e,
    toUInt32(500 * pow((h % 1000003) / 1000003, 2)) AS person,
    reinterpretAsUUID(concat(reinterpretAsString(h), reinterpretAsString(cityHash64(h)))) AS session_id,
    -- interaction > llm_request, tool > blocked_on_user, execution
    ['interaction', 'llm_request', 'tool', 'tool.blocked_on_user', 'tool.execution', 'llm_request', 'tool', 'tool.blocked_on_user',
        'tool.execution', 'llm_request'][1 + part] AS type,
    number - part AS root,
    multiIf(part = 0, 0, part IN (3, 7), number - 1, part IN (4, 8), number - 2, root) AS parent,
    ['Bash', 'Read', 'Edit', 'Grep', 'Write'][1 + e % 5] AS tool,
    ['claude-opus-5-5', 'claude-sonnet-5-5', 'claude-opus-5-5', 'claude-haiku-5-5', 'claude-sonnet-5-5'][1 + h % 5] AS model,
    concat('sha256:', lower(hex(SHA256(toString(cityHash64(e, 'content')))))) AS content,
    toUInt64(exp((e % 1000) / 110)) AS duration,
    map(
        'department', ['engineering', 'research', 'design'][1 + person % 3],
        'duration_ms', toString(duration),
        'organization.id', 'b68bab86-3130-43cf-803e-5bd3fef13dbb',
        'session.id', toString(session_id),
        'span.type', type,
        'team.id', concat('team ', toString(person % 12)),
        'terminal.type', ['vscode', 'iTerm.app', 'tmux', 'ghostty'][1 + person % 4],
        'user.email', concat('sha256:', lower(hex(SHA256(toString(person))))),
        'user.id', lower(hex(SHA256(concat('i', toString(person)))))) AS common
SELECT
    {begin:DateTime64(9)} + toIntervalSecond(
        toUInt64(session * {days:UInt32} / {sessions:UInt64}) * 86400 + 28800 + h % 32400 + prompt * 150 + part * 11)
        + toIntervalMillisecond(e % 1000) AS Timestamp,
    lower(hex(concat(reinterpretAsString(cityHash64(root)), reinterpretAsString(cityHash64(root, 't'))))) AS TraceId,
    lower(hex(reinterpretAsString(cityHash64(number, 's')))) AS SpanId,
    if(part = 0, '', lower(hex(reinterpretAsString(cityHash64(parent, 's'))))) AS ParentSpanId,
    concat('claude_code.', type) AS SpanName,
    'Internal' AS SpanKind,
    'claude-code' AS ServiceName,
    map(
        'department', common['department'], 'host.arch', 'amd64', 'os.type', 'linux', 'service.name', 'claude-code',
        'service.version', ['2.1.280', '2.1.293', '2.1.301'][1 + person % 3], 'team.id', common['team.id']) AS ResourceAttributes,
    'com.anthropic.claude_code.tracing' AS ScopeName,
    mapSort(mapUpdate(common, multiIf(
        type = 'interaction', map('user_prompt', content, 'user_prompt_length', toString(20 + e % 400), 'interaction.sequence', toString(prompt)),
        type = 'llm_request', map(
            'model', model, 'ttft_ms', toString(200 + e % 2000), 'input_tokens', toString(2 + e % 900), 'output_tokens', toString(20 + e % 2500),
            'cache_read_tokens', toString(20000 + e % 90000), 'success', 'true', 'attempt', '1', 'stop_reason', 'tool_use',
            'request_id', concat('req_', substring(content, 8, 24))),
        type = 'tool', map('tool_name', tool, 'tool_use_id', concat('toolu_', substring(content, 8, 24)), 'full_command', content),
        type = 'tool.blocked_on_user', map('decision', 'accept', 'source', if(e % 5 = 0, 'user_temporary', 'config')),
        map('success', if(e % 20 = 0, 'false', 'true'), 'tool_use_id', concat('toolu_', substring(content, 8, 24)))))) AS SpanAttributes,
    duration * 1000000 AS Duration
FROM numbers({first:UInt64}, {count:UInt64})
