-- What a request cost and how that is known; the one name of its model; and what was tried, to see whether it worked later.
ALTER TABLE telemetry_events
    -- The expression is that of clickhouse/model_names.py, which tests compare.
    ADD COLUMN IF NOT EXISTS model_name LowCardinality(String)
        DEFAULT if(position(lower(trimBoth(model)), 'claude') > 0, replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(lower(trimBoth(model)), '^.*claude', 'claude'), '[\\[@:(].*$', ''), '[ ._/]+', '-'), '([0-9])([a-z]{3,})', '\\1-\\2'), '([a-z]{3,})([0-9])', '\\1-\\2'), '-+', '-'), '(-(latest|default|thinking|thought|v[0-9]+|20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]+[km]))+$', ''), '^claude-([4-9]|[1-9][0-9])((-[0-9]{1,2})?)-([a-z]+)$', 'claude-\\4-\\1\\2'), '^claude-([a-z]+)-3((-[0-9]{1,2})?)$', 'claude-3\\2-\\1'), '^(claude-[a-z]+-[0-9]+)-0$', '\\1'), '^claude-([0-9]+)-0-', 'claude-\\1-'), replaceRegexpAll(lower(trimBoth(model)), '(-latest|[-@]20[0-9]{6}.*|@.*|-v[0-9]+(:[0-9]+)?|\\[.*)$', ''))
        COMMENT 'the model without provider, date, context and other spelling' CODEC(ZSTD(1)) AFTER model,
    ADD COLUMN IF NOT EXISTS cost_source LowCardinality(String)
        DEFAULT multiIf(event_type != 'api_request', '', cost_nanos IS NULL, 'unknown', 'reported')
        COMMENT 'reported by the client, recomputed from tokens and prices, or unknown; empty for other events'
        CODEC(ZSTD(1)) AFTER cost_nanos,
    ADD COLUMN IF NOT EXISTS tried_id UInt64
        DEFAULT multiIf(
            event_type = 'tool_result' AND success IS NOT NULL,
                cityHash64(session_id, 'tool', tool_name, mcp_server_name, mcp_tool_name, command),
            event_type IN ('api_request', 'api_error', 'api_retries_exhausted') OR (event_type = 'api_refusal' AND failure != ''),
                cityHash64(session_id, 'request', model_name, query_source, agent_name),
            event_type = 'mcp_server_connection' AND attributes['status'] IN ('connected', 'failed'),
                cityHash64(session_id, 'connection', mcp_server_name),
            event_type = 'hook_execution_complete', cityHash64(session_id, 'hook', attributes['hook_event'], attributes['hook_name']),
            event_type NOT IN ('tool_result', 'api_refusal') AND success IS NOT NULL, cityHash64(session_id, event_type),
            0)
        COMMENT 'equal for the same thing tried in a session: a tool with its program, a request of one kind; 0: cannot be told'
        CODEC(ZSTD(1)) AFTER failure
