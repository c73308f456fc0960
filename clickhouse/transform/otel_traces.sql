WITH
    resources AS (
        SELECT
            otlp_attributes((r).resource.attributes, {hash_key:String}, {statement:UInt64}) AS ResourceAttributes,
            (r).scope_spans AS scope_spans
        FROM (SELECT arrayJoin(resource_spans) AS r FROM file({batch:String}, 'Protobuf', {structure:String}))
    ),
    scopes AS (SELECT ResourceAttributes, arrayJoin(scope_spans) AS scope FROM resources),
    records AS (
        SELECT
            ResourceAttributes,
            (scope).scope.name AS scope_name,
            (scope).scope.version AS scope_version,
            arrayJoin((scope).spans) AS span
        FROM scopes
    ),
    read AS (SELECT *, otlp_entries((span).attributes) AS entries FROM records)
SELECT
    otlp_timely(otlp_time((span).start_time_unix_nano), {statement:UInt64}) AS Timestamp,
    otlp_id((span).trace_id) AS TraceId,
    otlp_id((span).span_id) AS SpanId,
    otlp_id((span).parent_span_id) AS ParentSpanId,
    otlp_clean((span).trace_state, {statement:UInt64}) AS TraceState,
    otlp_clean((span).name, {statement:UInt64}) AS SpanName,
    transform((span).kind, [1, 2, 3, 4, 5], ['Internal', 'Server', 'Client', 'Producer', 'Consumer'], 'Unspecified') AS SpanKind,
    ResourceAttributes['service.name'] AS ServiceName,
    ResourceAttributes,
    otlp_clean(scope_name, {statement:UInt64}) AS ScopeName,
    otlp_clean(scope_version, {statement:UInt64}) AS ScopeVersion,
    otlp_labelled(entries, otlp_private(entries, {hash_key:String}, {statement:UInt64}), {statement:UInt64}) AS SpanAttributes,
    if((span).end_time_unix_nano >= (span).start_time_unix_nano,
        toUInt64((span).end_time_unix_nano - (span).start_time_unix_nano),
        assumeNotNull(otlp_tally({statement:UInt64}, 'span_ends_before_start', toString((span).end_time_unix_nano)))) AS Duration,
    transform((span).status.code, [1, 2], ['Ok', 'Error'], 'Unset') AS StatusCode,
    otlp_status_message((span).status.message, {hash_key:String}, {statement:UInt64}) AS StatusMessage,
    arrayMap(t -> otlp_time(t), (span).events.time_unix_nano) AS `Events.Timestamp`,
    arrayMap(n -> otlp_clean(n, {statement:UInt64}), (span).events.name) AS `Events.Name`,
    arrayMap(a -> otlp_attributes(a, {hash_key:String}, {statement:UInt64}), (span).events.attributes) AS `Events.Attributes`,
    arrayMap(i -> otlp_id(i), (span).links.trace_id) AS `Links.TraceId`,
    arrayMap(i -> otlp_id(i), (span).links.span_id) AS `Links.SpanId`,
    arrayMap(s -> otlp_clean(s, {statement:UInt64}), (span).links.trace_state) AS `Links.TraceState`,
    arrayMap(a -> otlp_attributes(a, {hash_key:String}, {statement:UInt64}), (span).links.attributes) AS `Links.Attributes`,
    -- A span without ids or a time is not known again.
    cityHash64(Timestamp, TraceId, SpanId, Duration, SpanName, SpanAttributes)
        * (TraceId != '' AND SpanId != '' AND (span).start_time_unix_nano != 0) AS Content,
    toUInt64(0) AS Identity
FROM read
