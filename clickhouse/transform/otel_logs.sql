WITH
    resources AS (
        SELECT
            otlp_attributes((r).resource.attributes, {hash_key:String}, {statement:UInt64}) AS ResourceAttributes,
            (r).schema_url AS resource_schema_url,
            (r).scope_logs AS scope_logs
        FROM (SELECT arrayJoin(resource_logs) AS r FROM file({batch:String}, 'Protobuf', {structure:String}))
    ),
    scopes AS (
        SELECT
            ResourceAttributes,
            resource_schema_url,
            (scope).schema_url AS scope_schema_url,
            (scope).scope.name AS scope_name,
            (scope).scope.version AS scope_version,
            otlp_attributes((scope).scope.attributes, {hash_key:String}, {statement:UInt64}) AS ScopeAttributes,
            (scope).log_records AS log_records
        FROM (SELECT ResourceAttributes, resource_schema_url, arrayJoin(scope_logs) AS scope FROM resources)
    ),
    records AS (SELECT * EXCEPT log_records, arrayJoin(log_records) AS record FROM scopes),
    read AS (SELECT *, otlp_entries((record).attributes) AS entries FROM records),
    -- Each column once: what is said of an attribute below would otherwise be planned with all of its attribute's working.
    finished AS (
        SELECT
            otlp_timely(
                otlp_time(if((record).time_unix_nano = 0, (record).observed_time_unix_nano, (record).time_unix_nano)),
                {statement:UInt64}) AS Timestamp,
            otlp_id((record).trace_id) AS TraceId,
            otlp_id((record).span_id) AS SpanId,
            toUInt8(bitAnd((record).flags, 255)) AS TraceFlags,
            otlp_clean((record).severity_text, {statement:UInt64}) AS SeverityText,
            toUInt8(least(greatest((record).severity_number, 0), 255)) AS SeverityNumber,
            ResourceAttributes['service.name'] AS ServiceName,
            otlp_body((record).body, {statement:UInt64}) AS Body,
            otlp_clean(resource_schema_url, {statement:UInt64}) AS ResourceSchemaUrl,
            ResourceAttributes,
            otlp_clean(scope_schema_url, {statement:UInt64}) AS ScopeSchemaUrl,
            otlp_clean(scope_name, {statement:UInt64}) AS ScopeName,
            otlp_clean(scope_version, {statement:UInt64}) AS ScopeVersion,
            ScopeAttributes,
            otlp_labelled(entries, otlp_private(entries, {hash_key:String}, {statement:UInt64}), {statement:UInt64}) AS LogAttributes,
            otlp_clean((record).event_name, {statement:UInt64}) AS EventName
        FROM read
    )
SELECT
    *,
    otlp_event_content(Timestamp, Body, EventName, LogAttributes) AS Content,
    otlp_event_identity(Body, EventName, LogAttributes) AS Identity
FROM finished
