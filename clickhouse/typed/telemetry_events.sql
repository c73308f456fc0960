-- One row per log record of Claude Code. What was counted before is not an event again (docs/decisions/0018); all after the
-- server in mcp__server__tool belongs to the tool; a request without a cost is priced by its tokens, where they and the
-- model's price are known. The longest pattern counts, the band of prompts that the request is in, and the latest price of
-- its day, as in queries/prices.sql. A failed request says its status also where it stands in its message alone, as after the
-- last retry ("Repeated 529 Overloaded errors"), and the failures of tools of MCP servers, which the client all calls
-- `mcp_tool`, are told apart by server and tool where these are sent. A prompt that is sent as `prompt_text` too is content
-- like the other.
WITH
    -- What has a column of its own is left out of `attributes`. Numbers come with the largest that can be true.
    [
        'duration_ms', 'total_duration_ms', 'total_retry_duration_ms', 'ttft_ms', 'cost_usd', 'cost_usd_micros',
        'input_tokens', 'output_tokens', 'cache_read_tokens', 'cache_creation_tokens', 'cache_creation_5m_tokens',
        'cache_creation_1h_tokens', 'tool_result_size_bytes', 'prompt_length', 'user_prompt_length', 'attempt',
        'total_attempts', 'status_code', 'event.sequence'
    ] AS number_keys,
    [
        1e10, 1e10, 1e10, 1e10, 1e5, 1e11,
        1e9, 1e9, 1e9, 1e9, 1e9,
        1e9, 1e12, 1e9, 1e9, 1e6,
        1e6, 999, 1e15
    ] AS limits,
    ['duration_ms', 'total_duration_ms', 'total_retry_duration_ms', 'ttft_ms', 'cost_usd'] AS fractions,
    [
        'event.name', 'event.timestamp', 'session.id', 'organization.id', 'prompt.id', 'terminal.type', 'app.version',
        'team.id', 'team', 'department', 'cost_center', 'project', 'model', 'speed', 'query_source', 'agent.name',
        'skill.name', 'plugin.name', 'mcp_server.name', 'mcp_server_name', 'mcp_tool.name', 'mcp_tool_name', 'workflow.step', 'tool_name', 'tool_use_id',
        'decision', 'decision_type', 'decision_source', 'request_id', 'error_type', 'error'
    ] AS text_keys,
    [
        'prompt', 'prompt.text', 'prompt_text', 'response', 'response.text', 'response_text', 'tool_parameters', 'tool.parameters', 'tool_input', 'tool.input',
        'tool_output', 'tool.output', 'body', 'body_ref', 'hook_definitions', 'workspace.host_paths'
    ] AS content_keys,
    (
        SELECT arraySort(
            price -> (length(replaceAll(price.1, '%', '')), price.3, price.4),
            groupArray((
                pattern, toString(speed), prompt_over, valid_from,
                (input_usd, output_usd, cache_read_usd, cache_write_5m_usd, cache_write_1h_usd))))
        FROM model_prices
    ) AS prices,
    -- No price is looked at where none is needed; what it is looked up by are columns, since a lambda takes these whole.
    arrayLast(
        price -> priced_name LIKE price.1 AND price.2 = priced_speed AND price.3 < priced_prompt AND price.4 <= priced_day,
        if(is_priced, prices, [])) AS price,
    price.5 AS rates,
    if(
        is_priced AND price.1 != '',
        toUInt64(round(1000 * (
            priced_tokens.1 * rates.1 + priced_tokens.2 * rates.2 + priced_tokens.3 * rates.3 + priced_tokens.4 * rates.4
            + priced_tokens.5 * rates.5))),
        NULL) AS recomputed_nanos,
    records AS (
        SELECT
            Timestamp,
            ServiceName,
            ResourceAttributes AS r,
            LogAttributes,
            -- To look up a key that is no LowCardinality takes half the time.
            CAST(LogAttributes, 'Map(String, String)') AS a,
            multiIf(
                a['event.name'] != '', a['event.name'],
                EventName != '', EventName,
                startsWith(Body, 'claude_code.'), Body,
                'unnamed') AS name,
            if(startsWith(name, 'claude_code.'), substring(name, 13), name) AS type,
            multiIf(
                a['user.email'] != '', 'user.email',
                a['enduser.id'] != '', 'enduser.id',
                a['user.id'] != '', 'user.id',
                'user.account_uuid') AS user_key,
            transform(lower(a['success']), ['true', '1', '1.0', 'false', '0', '0.0'], [1, 1, 1, 0, 0, 0], NULL) AS success_sent,
            -- A connection that failed has the status code `undefined`.
            mapFilter((key, value) -> key IN number_keys AND value != 'undefined', a) AS sent,
            arrayMap(
                (key, value, number) -> multiIf(
                    value = '', 'empty',
                    number IS NULL OR isNaN(number), 'unreadable',
                    number < 0, 'negative',
                    number > transform(key, number_keys, limits, 0.), 'excessive',
                    number != floor(number) AND key NOT IN fractions, 'fractional',
                    ''),
                mapKeys(sent), mapValues(sent), arrayMap(value -> toFloat64OrNull(value), mapValues(sent))) AS faults,
            mapFromArrays(
                mapKeys(sent),
                arrayMap((value, fault) -> if(fault = '', toFloat64OrNull(value), NULL), mapValues(sent), faults)) AS n,
            arrayFilter((key, fault) -> fault != '', mapKeys(sent), faults) AS wrong,
            -- What a price is looked up by, worked out here and not again for each price.
            toUInt64(coalesce(round(n['cost_usd'] * 1e9), n['cost_usd_micros'] * 1000)) AS reported_nanos,
            -- Without the tokens of both ways it would be priced too low.
            type = 'api_request' AND reported_nanos IS NULL AND n['input_tokens'] IS NOT NULL AND n['output_tokens'] IS NOT NULL
                AS is_priced,
            -- The functions of a LowCardinality are called for each of its values, not for each row. The expression is that of
            -- clickhouse/model_names.py, which tests compare.
            CAST(a['model'], 'LowCardinality(String)') AS model_sent,
            if(position(lower(trimBoth(model_sent)), 'claude') > 0, replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(lower(trimBoth(model_sent)), '^.*claude', 'claude'), '[\\[@:(].*$', ''), '[ ._/]+', '-'), '([0-9])([a-z]{3,})', '\\1-\\2'), '([a-z]{3,})([0-9])', '\\1-\\2'), '-+', '-'), '(-(latest|default|thinking|thought|v[0-9]+|20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]+[km]))+$', ''), '^claude-([4-9]|[1-9][0-9])((-[0-9]{1,2})?)-([a-z]+)$', 'claude-\\4-\\1\\2'), '^claude-([a-z]+)-3((-[0-9]{1,2})?)$', 'claude-3\\2-\\1'), '^(claude-[a-z]+-[0-9]+)-0$', '\\1'), '^claude-([0-9]+)-0-', 'claude-\\1-'), replaceRegexpAll(lower(trimBoth(model_sent)), '(-latest|[-@]20[0-9]{6}.*|@.*|-v[0-9]+(:[0-9]+)?|\\[.*)$', '')) AS model_name,
            if(is_priced, model_name, '') AS priced_name,
            if(a['speed'] IN ('', 'normal', 'standard'), '', a['speed']) AS priced_speed,
            toDate(Timestamp, 'UTC') AS priced_day,
            ifNull(n['cache_read_tokens'], 0) AS cached,
            ifNull(n['cache_creation_tokens'], 0) AS written,
            least(ifNull(n['cache_creation_1h_tokens'], 0), written) AS written_1h,
            greatest(ifNull(n['input_tokens'], 0) + cached + written, 1) AS priced_prompt,
            (ifNull(n['input_tokens'], 0), ifNull(n['output_tokens'], 0), cached, written - written_1h, written_1h) AS priced_tokens
        FROM otel_logs
        WHERE (startsWith(ScopeName, 'com.anthropic.') OR startsWith(EventName, 'claude_code.') OR startsWith(Body, 'claude_code.')
                OR (ServiceName IN ('claude-code', 'claude-code-desktop', 'cowork') AND mapContains(LogAttributes, 'event.name')))
            AND NOT mapContains(LogAttributes, 'telemetry.repeated')
    )
SELECT
    Timestamp AS timestamp,
    nowInBlock64(3, 'UTC') AS arrived,
    type AS event_type,
    a['session.id'] AS session_id,
    a[user_key] AS user_id,
    a['organization.id'] AS organization_id,
    a['prompt.id'] AS prompt_id,
    toUInt64(n['event.sequence']) AS sequence,
    ServiceName AS service_name,
    if(r['service.version'] != '', r['service.version'], a['app.version']) AS service_version,
    a['terminal.type'] AS terminal_type,
    if(r['host.name'] != '', r['host.name'], r['host.id']) AS host_name,
    multiIf(
        r['team.id'] != '', r['team.id'], r['team'] != '', r['team'],
        a['team.id'] != '', a['team.id'], a['team']) AS team,
    if(r['department'] != '', r['department'], a['department']) AS department,
    if(r['cost_center'] != '', r['cost_center'], a['cost_center']) AS cost_center,
    multiIf(
        r['project'] != '', r['project'], r['project.name'] != '', r['project.name'],
        a['project'] != '', a['project'], a['vcs.repository.name']) AS project,
    model_sent AS model,
    model_name,
    a['speed'] AS speed,
    a['query_source'] AS query_source,
    multiIf(
        a['agent.name'] != '', a['agent.name'], a['agent_type'] != '', a['agent_type'],
        a['tool_parameters.subagent_type'] != '', a['tool_parameters.subagent_type'],
        a['tool_input.subagent_type']) AS agent_name,
    multiIf(
        a['skill.name'] != '', a['skill.name'], a['skill_name'] != '', a['skill_name'],
        a['tool_parameters.skill_name']) AS skill_name,
    a['plugin.name'] AS plugin_name,
    -- mcp__server__tool is how the client names a tool of an MCP server. Where the server's name is sent too, it says where
    -- the tool's begins, with the signs replaced that the client replaces; else the first separator does.
    multiIf(
        a['mcp_server.name'] != '', a['mcp_server.name'], a['mcp_server_name'] != '', a['mcp_server_name'],
        a['server_name'] != '', a['server_name'],
        a['tool_parameters.mcp_server_name'] != '', a['tool_parameters.mcp_server_name'],
        if(startsWith(a['tool_name'], 'mcp__'), splitByString('__', substring(a['tool_name'], 6))[1], '')) AS mcp_server_name,
    multiIf(
        a['mcp_tool.name'] != '', a['mcp_tool.name'], a['mcp_tool_name'] != '', a['mcp_tool_name'],
        a['tool_parameters.mcp_tool_name'] != '', a['tool_parameters.mcp_tool_name'],
        NOT startsWith(a['tool_name'], 'mcp__'), '',
        startsWith(a['tool_name'], concat('mcp__', replaceRegexpAll(mcp_server_name, '[^a-zA-Z0-9_-]', '_'), '__') AS named),
        substring(a['tool_name'], length(named) + 1),
        arrayStringConcat(arraySlice(splitByString('__', a['tool_name']), 3), '__')) AS mcp_tool_name,
    multiIf(
        r['workflow.step'] != '', r['workflow.step'], a['workflow.step'] != '', a['workflow.step'],
        a['query_source'] != '', a['query_source'], a['span.type']) AS workflow_step,
    a['tool_name'] AS tool_name,
    a['tool_use_id'] AS tool_use_id,
    multiIf(
        a['tool_parameters.bash_command'] != '', a['tool_parameters.bash_command'],
        a['tool_parameters.full_command'] != '', a['tool_parameters.full_command'],
        a['tool_input.command']) AS command,
    if(a['tool_input'] = '', 0, cityHash64(session_id, tool_name, a['tool_input'])) AS input_id,
    toUInt64(n['tool_result_size_bytes']) AS result_bytes,
    CAST(success_sent, 'Nullable(Bool)') AS success,
    multiIf(
        a['decision'] != '', a['decision'],
        type = 'hook_execution_complete' AND a['num_blocking'] NOT IN ('', '0'), 'block',
        a['decision_type']) AS decision,
    multiIf(
        type = 'tool_decision', a['source'],
        type = 'hook_execution_complete' AND decision = 'block', 'hook',
        a['decision_source']) AS decision_source,
    coalesce(n['duration_ms'], n['total_duration_ms'], n['total_retry_duration_ms']) AS duration_ms,
    n['ttft_ms'] AS ttft_ms,
    toUInt64(n['input_tokens']) AS input_tokens,
    toUInt64(n['output_tokens']) AS output_tokens,
    toUInt64(n['cache_read_tokens']) AS cache_read_tokens,
    toUInt64(n['cache_creation_tokens']) AS cache_creation_tokens,
    toUInt64(n['cache_creation_5m_tokens']) AS cache_creation_5m_tokens,
    toUInt64(n['cache_creation_1h_tokens']) AS cache_creation_1h_tokens,
    coalesce(n['cost_usd'], n['cost_usd_micros'] / 1e6, recomputed_nanos / 1e9) AS cost_usd,
    coalesce(reported_nanos, recomputed_nanos) AS cost_nanos,
    multiIf(
        type != 'api_request', '',
        reported_nanos IS NOT NULL, 'reported',
        recomputed_nanos IS NOT NULL, 'recomputed',
        'unknown') AS cost_source,
    a['request_id'] AS request_id,
    toUInt64(coalesce(n['attempt'], n['total_attempts'])) AS attempt,
    toUInt16(n['status_code']) AS status_code,
    multiIf(
        type NOT IN ('api_error', 'api_retries_exhausted'), '',
        n['status_code'] IS NOT NULL, toString(status_code),
        error_type != '', error_type,
        extract(a['error'], '^(?:API Error:? |HTTP |Repeated |Error:? )*([45][0-9]{2})(?:[^0-9]|$)') AS told != '', told,
        'connection') AS api_error_code,
    if(type IN ('api_error', 'api_retries_exhausted'), a['error'], '') AS api_error_message,
    multiIf(
        a['error_type'] != '', a['error_type'], a['error_name'] != '', a['error_name'],
        a['error_category'] != '', a['error_category'], a['error_code']) AS error_type,
    if(type IN ('api_error', 'api_retries_exhausted'), '', a['error']) AS error_message,
    -- What api_retries_exhausted reports is the api_error beside it: one failure, counted once.
    multiIf(
        type = 'tool_result' AND success_sent = 0, trimRight(concat(
            'tool ',
            if(a['tool_name'] = 'mcp_tool' AND mcp_tool_name != '', concat('mcp__', mcp_server_name, '__', mcp_tool_name), a['tool_name']),
            ' ',
            error_type)),
        type = 'api_error', concat('api ', api_error_code),
        type = 'api_refusal' AND lower(a['server_fallback_hop']) != 'true', 'api refusal',
        type = 'internal_error', trimRight(concat('internal ', error_type)),
        type = 'mcp_server_connection' AND a['status'] = 'failed', 'mcp connection',
        type = 'hook_execution_complete' AND a['num_non_blocking_error'] NOT IN ('', '0'), concat('hook ', a['hook_event']),
        success_sent = 0 AND type != 'tool_result', type,
        '') AS failure,
    multiIf(
        type = 'tool_result' AND success IS NOT NULL,
            cityHash64(session_id, 'tool', tool_name, mcp_server_name, mcp_tool_name, command),
        type IN ('api_request', 'api_error', 'api_retries_exhausted') OR (type = 'api_refusal' AND failure != ''),
            cityHash64(session_id, 'request', model_name, query_source, agent_name),
        type = 'mcp_server_connection' AND attributes['status'] IN ('connected', 'failed'),
            cityHash64(session_id, 'connection', mcp_server_name),
        type = 'hook_execution_complete', cityHash64(session_id, 'hook', attributes['hook_event'], attributes['hook_name']),
        type NOT IN ('tool_result', 'api_refusal') AND success IS NOT NULL, cityHash64(session_id, type),
        0) AS tried_id,
    multiIf(
        type = 'tool_decision', multiIf(
            decision != 'reject', '',
            startsWith(decision_source, 'user_'), 'refused by a person',
            decision_source = 'hook', 'refused by a hook',
            'refused by a rule'),
        type = 'hook_execution_complete', if(decision = 'block', 'blocked by a hook', ''),
        type = 'permission_mode_changed', multiIf(
            a['to_mode'] = 'bypassPermissions', 'permissions bypassed',
            a['to_mode'] IN ('acceptEdits', 'auto', 'dontAsk'), 'asks less',
            ''),
        type = 'plugin_installed', if(lower(a['marketplace.is_official']) IN ('true', '1'), '', 'unofficial plugin'),
        type = 'plugin_loaded', if(a['plugin.scope'] IN ('', 'official', 'default-bundle'), '', 'unofficial plugin'),
        type = 'auth', multiIf(success_sent = 0, 'failed login', a['action'] = 'logout', 'logout', ''),
        type = 'api_refusal', 'refused by the model',
        '') AS security,
    toUInt64(coalesce(n['prompt_length'], n['user_prompt_length'])) AS prompt_length,
    arrayFilter(flag -> flag != '', arrayConcat(
        arrayMap((key, fault) -> if(fault = '', '', concat(fault, '_', replaceAll(key, '.', '_'))), mapKeys(sent), faults),
        [
            if(a['success'] != '' AND success_sent IS NULL, 'unreadable_success', ''),
            if(a['session.id'] = '', 'no_session_id', ''),
            if(type = 'api_request' AND a['model'] = '', 'no_model', ''),
            if(type = 'api_request' AND reported_nanos IS NULL, 'no_cost', ''),
            if(type = 'tool_result' AND a['tool_name'] = '', 'no_tool_name', ''),
            if(Timestamp < toDateTime64('2020-01-01 00:00:00', 9, 'UTC'), 'time_too_early', ''),
            if(Timestamp > nowInBlock64(9, 'UTC') + toIntervalDay(1), 'time_too_late', '')
        ])) AS quality,
    mapFilter(
        (key, value) -> key NOT IN text_keys AND key NOT IN content_keys AND key != user_key
            AND NOT (key = 'source' AND type = 'tool_decision') AND NOT (key = 'success' AND success_sent IS NOT NULL)
            AND (key NOT IN number_keys OR has(wrong, key)),
        LogAttributes) AS attributes
FROM records
