-- The beginning of the statement of every metric table: the data points of one kind, and the columns that all share.
WITH
    resources AS (
        SELECT
            otlp_attributes((r).resource.attributes, {hash_key:String}, {statement:UInt64}) AS ResourceAttributes,
            (r).schema_url AS resource_schema_url,
            (r).scope_metrics AS scope_metrics
        FROM (SELECT arrayJoin(resource_metrics) AS r FROM file({batch:String}, 'Protobuf', {structure:String}))
    ),
    scopes AS (
        SELECT
            ResourceAttributes,
            resource_schema_url,
            (s).scope AS scope,
            otlp_attributes((s).scope.attributes, {hash_key:String}, {statement:UInt64}) AS ScopeAttributes,
            (s).schema_url AS scope_schema_url,
            arrayJoin((s).metrics) AS metric
        FROM (SELECT ResourceAttributes, resource_schema_url, arrayJoin(scope_metrics) AS s FROM resources)
    ),
    points AS (SELECT *, arrayJoin((tupleElement(metric, {kind:String})).data_points) AS point FROM scopes)
SELECT
    ResourceAttributes,
    otlp_clean(resource_schema_url, {statement:UInt64}) AS ResourceSchemaUrl,
    otlp_clean((scope).name, {statement:UInt64}) AS ScopeName,
    otlp_clean((scope).version, {statement:UInt64}) AS ScopeVersion,
    ScopeAttributes,
    (scope).dropped_attributes_count AS ScopeDroppedAttrCount,
    otlp_clean(scope_schema_url, {statement:UInt64}) AS ScopeSchemaUrl,
    ResourceAttributes['service.name'] AS ServiceName,
    otlp_clean((metric).name, {statement:UInt64}) AS MetricName,
    otlp_clean((metric).description, {statement:UInt64}) AS MetricDescription,
    otlp_clean((metric).unit, {statement:UInt64}) AS MetricUnit,
    otlp_attributes((point).attributes, {hash_key:String}, {statement:UInt64}) AS Attributes,
    otlp_time((point).start_time_unix_nano) AS StartTimeUnix,
    otlp_timely(otlp_time((point).time_unix_nano), {statement:UInt64}) AS TimeUnix,
