-- As 0029, with the tries of a request and why the model stopped, the client's version and the project.
ALTER TABLE telemetry_spans_mv MODIFY QUERY
WITH
    CAST(SpanAttributes, 'Map(String, String)') AS a,
    ResourceAttributes AS r,
    toFloat64OrNull(a['ttft_ms']) AS ttft,
    toFloat64OrNull(a['attempt']) AS tries
SELECT
    Timestamp AS timestamp,
    substring(SpanName, 13) AS span_type,
    TraceId AS trace_id,
    reinterpretAsUInt64(reverse(unhex(SpanId))) AS span_id,
    reinterpretAsUInt64(reverse(unhex(ParentSpanId))) AS parent_span_id,
    a['session.id'] AS session_id,
    multiIf(
        a['user.email'] != '', a['user.email'], a['enduser.id'] != '', a['enduser.id'],
        a['user.id'] != '', a['user.id'], a['user.account_uuid']) AS user_id,
    multiIf(
        r['team.id'] != '', r['team.id'], r['team'] != '', r['team'],
        a['team.id'] != '', a['team.id'], a['team']) AS team,
    multiIf(
        r['project'] != '', r['project'], r['project.name'] != '', r['project.name'],
        a['project'] != '', a['project'], a['vcs.repository.name']) AS project,
    ServiceName AS service_name,
    if(r['service.version'] != '', r['service.version'], a['app.version']) AS service_version,
    a['model'] AS model,
    a['tool_name'] AS tool_name,
    a['tool_use_id'] AS tool_use_id,
    a['request_id'] AS request_id,
    CAST(transform(lower(a['success']), ['true', '1', 'false', '0'], [1, 1, 0, 0], NULL), 'Nullable(Bool)') AS success,
    a['decision'] AS decision,
    a['source'] AS decision_source,
    if(Duration > 1e16, NULL, Duration / 1e6) AS duration_ms,
    if(ttft BETWEEN 0 AND 1e10, ttft, NULL) AS ttft_ms,
    if(tries BETWEEN 1 AND 1e6, toUInt64(tries), NULL) AS attempt,
    if(match(a['stop_reason'], '^[a-z_]{1,40}$'), a['stop_reason'], '') AS stop_reason
FROM otel_traces
WHERE SpanName IN ('claude_code.interaction', 'claude_code.llm_request', 'claude_code.tool', 'claude_code.tool.blocked_on_user')
