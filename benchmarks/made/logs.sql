-- Log records like Claude Code's, made from their numbers alone: sessions of 240 events, twelve to a prompt, over days.
INSERT INTO otel_logs (Timestamp, TraceId, SpanId, ServiceName, Body, ResourceAttributes, ScopeName, LogAttributes)
WITH
    intDiv(number, 240) AS session,
    number % 240 AS step,
    intDiv(step, 12) AS prompt,
    step % 12 AS part,
    cityHash64(session, 'session') AS h,
    cityHash64(number, 'event') AS e,
    toUInt32(500 * pow((h % 1000003) / 1000003, 2)) AS person,
    reinterpretAsUUID(concat(reinterpretAsString(h), reinterpretAsString(cityHash64(h)))) AS session_id,
    reinterpretAsUUID(concat(reinterpretAsString(cityHash64(h, prompt)), reinterpretAsString(cityHash64(h, prompt, 'p')))) AS prompt_id,
    concat('req_', substring(base58Encode(concat(reinterpretAsString(e), reinterpretAsString(cityHash64(e)), 'salt')), 1, 24)) AS request_id,
    -- The decision and the result of a call have one id.
    cityHash64(number - if(part IN (3, 6, 9), 1, 0), 'call') AS c,
    concat('toolu_', substring(base58Encode(concat(reinterpretAsString(c), reinterpretAsString(cityHash64(c)), 'salt')), 1, 24)) AS call_id,
    ['Bash', 'Read', 'Edit', 'Grep', 'Write', 'Glob', 'WebFetch', 'mcp__github__search', 'Agent', 'Skill'][
        1 + toUInt32(10 * pow((c % 9973) / 9973, 2))] AS tool,
    ['git', 'pytest', 'npm', 'ls', 'grep', 'cat', 'make', 'docker'][1 + c % 8] AS program,
    ['claude-opus-5-5', 'claude-sonnet-5-5', 'claude-opus-5-5', 'claude-haiku-5-5', 'claude-sonnet-5-5'][1 + h % 5] AS model,
    e % 100 AS luck,
    multiIf(
        part = 0, 'user_prompt',
        part IN (1, 4, 7), if(luck = 0, 'api_error', 'api_request'),
        part IN (2, 5, 8), 'tool_decision',
        part IN (3, 6, 9), 'tool_result',
        part = 10, multiIf(
            luck < 70, 'hook_execution_complete', luck < 78, 'mcp_server_connection', luck < 84, 'compaction',
            luck < 90, 'subagent_completed', luck < 94, 'skill_activated', luck < 97, 'plugin_loaded', 'permission_mode_changed'),
        'assistant_response') AS name,
    -- A working day, and pauses between prompts.
    {begin:DateTime64(9)} + toIntervalSecond(
        toUInt64(session * {days:UInt32} / {sessions:UInt64}) * 86400 + 28800 + h % 32400 + prompt * 150 + part * 9)
        + toIntervalMillisecond(e % 1000) AS time,
    concat('sha256:', lower(hex(SHA256(toString(cityHash64(e, 'content')))))) AS content,
    concat('sha256:', lower(hex(SHA256(toString(cityHash64(session, c % 97)))))) AS input,
    toUInt32(exp((e % 1000) / 110)) AS duration,
    map(
        'department', ['engineering', 'research', 'design'][1 + person % 3],
        'event.name', name,
        'event.sequence', toString(step),
        'event.timestamp', formatDateTime(time, '%Y-%m-%dT%H:%i:%S.000Z', 'UTC'),
        'organization.id', 'b68bab86-3130-43cf-803e-5bd3fef13dbb',
        'prompt.id', toString(prompt_id),
        'session.id', toString(session_id),
        'team.id', concat('team ', toString(person % 12)),
        'terminal.type', ['vscode', 'iTerm.app', 'tmux', 'ghostty'][1 + person % 4],
        'user.email', concat('sha256:', lower(hex(SHA256(toString(person))))),
        'user.id', lower(hex(SHA256(concat('i', toString(person)))))) AS common
SELECT
    time AS Timestamp,
    '' AS TraceId,
    '' AS SpanId,
    'claude-code' AS ServiceName,
    concat('claude_code.', name) AS Body,
    map(
        'department', common['department'], 'host.arch', 'amd64', 'os.type', 'linux', 'service.name', 'claude-code',
        'service.version', ['2.1.280', '2.1.293', '2.1.301'][1 + person % 3], 'team.id', common['team.id']) AS ResourceAttributes,
    'com.anthropic.claude_code.events' AS ScopeName,
    mapSort(mapUpdate(common, multiIf(
        name = 'user_prompt', map('prompt', content, 'prompt_length', toString(20 + e % 400)),
        name = 'api_request', map(
            'model', model, 'cost_usd', toString(round(0.004 + (e % 9000) / 100000, 7)),
            'cost_usd_micros', toString(4000 + 10 * (e % 9000)), 'duration_ms', toString(800 + duration * 4),
            'input_tokens', toString(2 + e % 900), 'output_tokens', toString(20 + e % 2500),
            'cache_read_tokens', toString(20000 + e % 90000), 'cache_creation_tokens', toString(e % 6000),
            'request_id', request_id, 'speed', 'normal', 'query_source', ['repl_main_thread', 'agent', 'compact'][1 + c % 3],
            'effort', 'high', 'agent.name', if(c % 3 = 1, ['Explore', 'Plan', 'custom'][1 + c % 7 % 3], ''),
            'skill.name', if(h % 9 = 0, 'review', '')),
        name = 'api_error', map(
            'model', model, 'error', 'Overloaded', 'status_code', ['529', '429', '500', 'undefined'][1 + c % 4],
            'attempt', toString(1 + c % 10), 'duration_ms', toString(duration), 'request_id', request_id,
            'query_source', 'repl_main_thread', 'speed', 'normal'),
        name = 'tool_decision', map(
            'decision', if(luck < 3, 'reject', 'accept'), 'source',
            multiIf(luck < 2, 'user_reject', luck < 3, 'hook', luck < 20, 'user_temporary', 'config'),
            'tool_name', tool, 'tool_use_id', call_id, 'tool_parameters', input, 'tool_parameters.bash_command', program),
        name = 'tool_result', map(
            'tool_name', tool, 'tool_use_id', call_id, 'success', if(luck < 6, 'false', 'true'),
            'error_type', if(luck < 6, ['ShellError', 'Error:ENOENT', 'Timeout'][1 + c % 3], ''),
            'error', if(luck < 6, concat('Command failed with exit code ', toString(c % 5)), ''),
            'duration_ms', toString(duration), 'tool_input', input, 'tool_input_size_bytes', toString(20 + e % 700),
            'tool_result_size_bytes', toString(e % 40000), 'tool_parameters', input,
            'tool_parameters.bash_command', program, 'tool_parameters.full_command', program, 'decision_source', 'config',
            'decision_type', 'accept'),
        name = 'hook_execution_complete', map(
            'hook_event', 'PreToolUse', 'hook_name', concat('PreToolUse:', tool), 'num_hooks', '2', 'num_success', '2',
            'num_blocking', if(luck = 1, '1', '0'), 'num_non_blocking_error', if(luck = 2, '1', '0'), 'num_cancelled', '0',
            'total_duration_ms', toString(duration)),
        name = 'mcp_server_connection', map(
            'status', if(luck = 71, 'failed', 'connected'), 'transport_type', 'http', 'server_scope', 'user',
            'server_name', 'github', 'duration_ms', toString(duration)),
        name = 'compaction', map(
            'trigger', 'auto', 'success', 'true', 'duration_ms', toString(duration * 10), 'pre_tokens', toString(150000 + e % 9000),
            'post_tokens', toString(20000 + e % 9000)),
        name = 'subagent_completed', map('agent_type', 'Explore', 'duration_ms', toString(duration * 30), 'model', model),
        name = 'permission_mode_changed', map('from_mode', 'default', 'to_mode', if(luck = 97, 'bypassPermissions', 'acceptEdits')),
        name = 'plugin_loaded', map('plugin.name', 'third-party', 'plugin.scope', 'community', 'enabled_via', 'user-install'),
        name = 'skill_activated', map('skill.name', 'review', 'invocation_trigger', 'user-slash'),
        map('model', model, 'response', content, 'response_length', toString(e % 4000), 'request_id', request_id)))) AS LogAttributes
FROM numbers({first:UInt64}, {count:UInt64})
