-- The schema for a cluster of ClickHouse servers, for `clickhouse-client --database telemetry --multiquery`. A receiver
-- with CLICKHOUSE_CLUSTER runs the same statements by itself. {cluster}, {shard} and {replica} are macros of the nodes.
-- Made by scripts/cluster_schema.py from clickhouse/schema.

CREATE DATABASE IF NOT EXISTS telemetry ON CLUSTER '{cluster}';

-- Spans, column for column as the OpenTelemetry Collector's ClickHouse exporter lays them out.
CREATE TABLE IF NOT EXISTS otel_traces_local ON CLUSTER '{cluster}'
(
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested(Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Links Nested(TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(Timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
TTL toDate(least(Timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    max_compress_block_size = 131072,
    index_granularity = 1024,
    min_bytes_for_wide_part = 1073741824,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8,
    merge_max_block_size = 1024;

CREATE TABLE IF NOT EXISTS otel_traces ON CLUSTER '{cluster}' AS otel_traces_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'otel_traces_local', cityHash64(TraceId));

-- When each trace began and ended, so that a look-up by trace id reads two days and not all of them.
CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts_local ON CLUSTER '{cluster}'
(
    TraceId String CODEC(ZSTD(1)),
    Start DateTime CODEC(Delta, ZSTD(1)),
    End DateTime CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(Start, 'UTC')
ORDER BY (TraceId, Start)
TTL toDate(Start, 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    max_compress_block_size = 131072,
    min_bytes_for_wide_part = 1073741824,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8,
    merge_max_block_size = 2048;

CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts ON CLUSTER '{cluster}' AS otel_traces_trace_id_ts_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'otel_traces_trace_id_ts_local');

CREATE MATERIALIZED VIEW IF NOT EXISTS otel_traces_trace_id_ts_mv ON CLUSTER '{cluster}' TO otel_traces_trace_id_ts_local AS
SELECT
    TraceId,
    toDateTime(least(min(Timestamp), toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') AS Start,
    toDateTime(least(max(Timestamp), toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') AS End
FROM otel_traces_local
WHERE TraceId != ''
GROUP BY TraceId;

-- Log records; Claude Code's events are these.
CREATE TABLE IF NOT EXISTS otel_logs_local ON CLUSTER '{cluster}'
(
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8 CODEC(ZSTD(1)),
    SeverityText LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber UInt8 CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName String CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(Timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')
ORDER BY (toStartOfFiveMinutes(Timestamp), ServiceName, Timestamp)
TTL toDate(least(Timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    max_compress_block_size = 131072,
    index_granularity = 1024,
    min_bytes_for_wide_part = 1073741824,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8,
    merge_max_block_size = 1024;

CREATE TABLE IF NOT EXISTS otel_logs ON CLUSTER '{cluster}' AS otel_logs_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'otel_logs_local', cityHash64(LogAttributes['session.id'], TraceId));

CREATE TABLE IF NOT EXISTS otel_metrics_gauge_local ON CLUSTER '{cluster}'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested(FilteredAttributes Map(LowCardinality(String), String), TimeUnix DateTime64(9), Value Float64, SpanId String, TraceId String) CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(TimeUnix, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
TTL toDate(least(TimeUnix, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    max_compress_block_size = 131072,
    min_bytes_for_wide_part = 1073741824,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8,
    merge_max_block_size = 2048;

CREATE TABLE IF NOT EXISTS otel_metrics_gauge ON CLUSTER '{cluster}' AS otel_metrics_gauge_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'otel_metrics_gauge_local', cityHash64(MetricName, Attributes['session.id']));

CREATE TABLE IF NOT EXISTS otel_metrics_sum_local ON CLUSTER '{cluster}'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested(FilteredAttributes Map(LowCardinality(String), String), TimeUnix DateTime64(9), Value Float64, SpanId String, TraceId String) CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    IsMonotonic Bool CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(TimeUnix, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
TTL toDate(least(TimeUnix, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    max_compress_block_size = 131072,
    min_bytes_for_wide_part = 1073741824,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8,
    merge_max_block_size = 2048;

CREATE TABLE IF NOT EXISTS otel_metrics_sum ON CLUSTER '{cluster}' AS otel_metrics_sum_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'otel_metrics_sum_local', cityHash64(MetricName, Attributes['session.id']));

CREATE TABLE IF NOT EXISTS otel_metrics_summary_local ON CLUSTER '{cluster}'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    ValueAtQuantiles Nested(Quantile Float64, Value Float64) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(TimeUnix, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
TTL toDate(least(TimeUnix, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    max_compress_block_size = 131072,
    min_bytes_for_wide_part = 1073741824,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8,
    merge_max_block_size = 2048;

CREATE TABLE IF NOT EXISTS otel_metrics_summary ON CLUSTER '{cluster}' AS otel_metrics_summary_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'otel_metrics_summary_local', cityHash64(MetricName, Attributes['session.id']));

CREATE TABLE IF NOT EXISTS otel_metrics_histogram_local ON CLUSTER '{cluster}'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    BucketCounts Array(UInt64) CODEC(ZSTD(1)),
    ExplicitBounds Array(Float64) CODEC(ZSTD(1)),
    Exemplars Nested(FilteredAttributes Map(LowCardinality(String), String), TimeUnix DateTime64(9), Value Float64, SpanId String, TraceId String) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Min Float64 CODEC(ZSTD(1)),
    Max Float64 CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(TimeUnix, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
TTL toDate(least(TimeUnix, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    max_compress_block_size = 131072,
    min_bytes_for_wide_part = 1073741824,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8,
    merge_max_block_size = 2048;

CREATE TABLE IF NOT EXISTS otel_metrics_histogram ON CLUSTER '{cluster}' AS otel_metrics_histogram_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'otel_metrics_histogram_local', cityHash64(MetricName, Attributes['session.id']));

CREATE TABLE IF NOT EXISTS otel_metrics_exp_histogram_local ON CLUSTER '{cluster}'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    Scale Int32 CODEC(ZSTD(1)),
    ZeroCount UInt64 CODEC(ZSTD(1)),
    PositiveOffset Int32 CODEC(ZSTD(1)),
    PositiveBucketCounts Array(UInt64) CODEC(ZSTD(1)),
    NegativeOffset Int32 CODEC(ZSTD(1)),
    NegativeBucketCounts Array(UInt64) CODEC(ZSTD(1)),
    Exemplars Nested(FilteredAttributes Map(LowCardinality(String), String), TimeUnix DateTime64(9), Value Float64, SpanId String, TraceId String) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Min Float64 CODEC(ZSTD(1)),
    Max Float64 CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(TimeUnix, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
TTL toDate(least(TimeUnix, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    max_compress_block_size = 131072,
    min_bytes_for_wide_part = 1073741824,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8,
    merge_max_block_size = 2048;

CREATE TABLE IF NOT EXISTS otel_metrics_exp_histogram ON CLUSTER '{cluster}' AS otel_metrics_exp_histogram_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'otel_metrics_exp_histogram_local', cityHash64(MetricName, Attributes['session.id']));

-- One row per Claude Code event, typed, as the questions of queries/ read it. Filled by telemetry_events_mv.
-- A number that was not sent, or cannot be true, is NULL; `quality` says which, `attributes` keeps what was sent.
CREATE TABLE IF NOT EXISTS telemetry_events_local ON CLUSTER '{cluster}'
(
    timestamp DateTime64(9) CODEC(GCD, Delta, LZ4),
    event_type LowCardinality(String) CODEC(ZSTD(1)),
    session_id LowCardinality(String) CODEC(ZSTD(1)),
    user_id LowCardinality(String) CODEC(ZSTD(1)),
    organization_id LowCardinality(String) CODEC(ZSTD(1)),
    prompt_id String CODEC(ZSTD(1)),
    sequence Nullable(UInt64) CODEC(T64, LZ4),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    service_version LowCardinality(String) CODEC(ZSTD(1)),
    terminal_type LowCardinality(String) CODEC(ZSTD(1)),
    team LowCardinality(String) CODEC(ZSTD(1)),
    department LowCardinality(String) CODEC(ZSTD(1)),
    cost_center LowCardinality(String) CODEC(ZSTD(1)),
    project LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    speed LowCardinality(String) CODEC(ZSTD(1)),
    query_source LowCardinality(String) CODEC(ZSTD(1)),
    agent_name LowCardinality(String) CODEC(ZSTD(1)),
    skill_name LowCardinality(String) CODEC(ZSTD(1)),
    plugin_name LowCardinality(String) CODEC(ZSTD(1)),
    mcp_server_name LowCardinality(String) CODEC(ZSTD(1)),
    mcp_tool_name LowCardinality(String) CODEC(ZSTD(1)),
    workflow_step LowCardinality(String) CODEC(ZSTD(1)),
    tool_name LowCardinality(String) CODEC(ZSTD(1)),
    tool_use_id String CODEC(ZSTD(1)),
    command LowCardinality(String) COMMENT 'the program that a shell tool ran' CODEC(ZSTD(1)),
    input_id UInt64 COMMENT 'equal for equal input of a tool in a session, 0 when it was not sent' CODEC(ZSTD(1)),
    result_bytes Nullable(UInt64) CODEC(T64, LZ4),
    success Nullable(Bool) CODEC(ZSTD(1)),
    decision LowCardinality(String) CODEC(ZSTD(1)),
    decision_source LowCardinality(String) CODEC(ZSTD(1)),
    duration_ms Nullable(Float64) CODEC(LZ4),
    ttft_ms Nullable(Float64) CODEC(LZ4),
    input_tokens Nullable(UInt64) CODEC(T64, LZ4),
    output_tokens Nullable(UInt64) CODEC(T64, LZ4),
    cache_read_tokens Nullable(UInt64) CODEC(T64, LZ4),
    cache_creation_tokens Nullable(UInt64) CODEC(T64, LZ4),
    cache_creation_5m_tokens Nullable(UInt64) CODEC(T64, LZ4),
    cache_creation_1h_tokens Nullable(UInt64) CODEC(T64, LZ4),
    cost_usd Nullable(Float64) CODEC(LZ4),
    cost_nanos Nullable(UInt64) COMMENT 'cost in billionths of a dollar, whose sums are exact' CODEC(T64, LZ4),
    request_id String CODEC(ZSTD(1)),
    attempt Nullable(UInt64) CODEC(T64, LZ4),
    status_code Nullable(UInt16) CODEC(T64, LZ4),
    api_error_code LowCardinality(String) CODEC(ZSTD(1)),
    api_error_message String CODEC(ZSTD(1)),
    error_type LowCardinality(String) CODEC(ZSTD(1)),
    error_message String COMMENT 'of all but API errors' CODEC(ZSTD(1)),
    failure LowCardinality(String) COMMENT 'the category of a failure, empty for all else' CODEC(ZSTD(1)),
    security LowCardinality(String) COMMENT 'the kind of event for a security review, empty for all else' CODEC(ZSTD(1)),
    prompt_length Nullable(UInt64) CODEC(T64, LZ4),
    quality Array(LowCardinality(String)) COMMENT 'what is wrong with the values that were sent' CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) COMMENT 'those without a column, less the content' CODEC(ZSTD(1)),
    INDEX idx_session_id session_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')
-- Failures, and what a security review wants, lie together, so that few granules are read for them.
ORDER BY (event_type, failure, security, toStartOfHour(timestamp), session_id, timestamp)
TTL toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    min_bytes_for_wide_part = 8388608,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8,
    max_compress_block_size = 131072,
    merge_max_block_size = 2048;

CREATE TABLE IF NOT EXISTS telemetry_events ON CLUSTER '{cluster}' AS telemetry_events_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'telemetry_events_local');

-- Claude Code's log records as typed events. A record is one when its scope is Anthropic's, when its event name or
-- body begins with claude_code., or when one of Claude Code's services sent it under an event name.
-- What people wrote and tools were given stays in otel_logs alone: its hashes are half of an event's size.
CREATE MATERIALIZED VIEW IF NOT EXISTS telemetry_events_mv ON CLUSTER '{cluster}' TO telemetry_events_local AS
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
        'skill.name', 'plugin.name', 'mcp_server.name', 'mcp_tool.name', 'workflow.step', 'tool_name', 'tool_use_id',
        'decision', 'decision_type', 'decision_source', 'request_id', 'error_type', 'error'
    ] AS text_keys,
    [
        'prompt', 'prompt.text', 'response', 'response.text', 'tool_parameters', 'tool.parameters', 'tool_input', 'tool.input',
        'tool_output', 'tool.output', 'body', 'body_ref', 'hook_definitions', 'workspace.host_paths'
    ] AS content_keys,
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
            arrayFilter((key, fault) -> fault != '', mapKeys(sent), faults) AS wrong
        FROM otel_logs_local
        WHERE startsWith(ScopeName, 'com.anthropic.') OR startsWith(EventName, 'claude_code.') OR startsWith(Body, 'claude_code.')
            OR (ServiceName IN ('claude-code', 'claude-code-desktop', 'cowork') AND mapContains(LogAttributes, 'event.name'))
    )
SELECT
    Timestamp AS timestamp,
    type AS event_type,
    a['session.id'] AS session_id,
    a[user_key] AS user_id,
    a['organization.id'] AS organization_id,
    a['prompt.id'] AS prompt_id,
    toUInt64(n['event.sequence']) AS sequence,
    ServiceName AS service_name,
    if(r['service.version'] != '', r['service.version'], a['app.version']) AS service_version,
    a['terminal.type'] AS terminal_type,
    multiIf(
        r['team.id'] != '', r['team.id'], r['team'] != '', r['team'],
        a['team.id'] != '', a['team.id'], a['team']) AS team,
    if(r['department'] != '', r['department'], a['department']) AS department,
    if(r['cost_center'] != '', r['cost_center'], a['cost_center']) AS cost_center,
    multiIf(
        r['project'] != '', r['project'], r['project.name'] != '', r['project.name'],
        a['project'] != '', a['project'], a['vcs.repository.name']) AS project,
    a['model'] AS model,
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
    -- mcp__server__tool is how the client names a tool of an MCP server.
    multiIf(
        a['mcp_server.name'] != '', a['mcp_server.name'], a['server_name'] != '', a['server_name'],
        a['tool_parameters.mcp_server_name'] != '', a['tool_parameters.mcp_server_name'],
        startsWith(a['tool_name'], 'mcp__'), splitByString('__', a['tool_name'])[2],
        '') AS mcp_server_name,
    multiIf(
        a['mcp_tool.name'] != '', a['mcp_tool.name'],
        a['tool_parameters.mcp_tool_name'] != '', a['tool_parameters.mcp_tool_name'],
        startsWith(a['tool_name'], 'mcp__'), splitByString('__', a['tool_name'])[3],
        '') AS mcp_tool_name,
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
    coalesce(n['cost_usd'], n['cost_usd_micros'] / 1e6) AS cost_usd,
    toUInt64(coalesce(round(n['cost_usd'] * 1e9), n['cost_usd_micros'] * 1000)) AS cost_nanos,
    a['request_id'] AS request_id,
    toUInt64(coalesce(n['attempt'], n['total_attempts'])) AS attempt,
    toUInt16(n['status_code']) AS status_code,
    multiIf(
        type NOT IN ('api_error', 'api_retries_exhausted'), '',
        n['status_code'] IS NOT NULL, toString(status_code),
        error_type != '', error_type,
        'connection') AS api_error_code,
    if(type IN ('api_error', 'api_retries_exhausted'), a['error'], '') AS api_error_message,
    multiIf(
        a['error_type'] != '', a['error_type'], a['error_name'] != '', a['error_name'],
        a['error_category'] != '', a['error_category'], a['error_code']) AS error_type,
    if(type IN ('api_error', 'api_retries_exhausted'), '', a['error']) AS error_message,
    -- What api_retries_exhausted reports is the api_error beside it: one failure, counted once.
    multiIf(
        type = 'tool_result' AND success_sent = 0, trimRight(concat('tool ', a['tool_name'], ' ', error_type)),
        type = 'api_error', concat('api ', api_error_code),
        type = 'api_refusal' AND lower(a['server_fallback_hop']) != 'true', 'api refusal',
        type = 'internal_error', trimRight(concat('internal ', error_type)),
        type = 'mcp_server_connection' AND a['status'] = 'failed', 'mcp connection',
        type = 'hook_execution_complete' AND a['num_non_blocking_error'] NOT IN ('', '0'), concat('hook ', a['hook_event']),
        success_sent = 0 AND type != 'tool_result', type,
        '') AS failure,
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
            if(type = 'api_request' AND cost_nanos IS NULL, 'no_cost', ''),
            if(type = 'tool_result' AND a['tool_name'] = '', 'no_tool_name', ''),
            if(Timestamp < toDateTime64('2020-01-01 00:00:00', 9, 'UTC'), 'time_too_early', ''),
            if(Timestamp > now64(9, 'UTC') + toIntervalDay(1), 'time_too_late', '')
        ])) AS quality,
    mapFilter(
        (key, value) -> key NOT IN text_keys AND key NOT IN content_keys AND key != user_key
            AND NOT (key = 'source' AND type = 'tool_decision') AND NOT (key = 'success' AND success_sent IS NOT NULL)
            AND (key NOT IN number_keys OR has(wrong, key)),
        LogAttributes) AS attributes
FROM records;

-- Events, failures, tokens and cost by the hour, for every combination of what people group by.
CREATE TABLE IF NOT EXISTS telemetry_hourly_local ON CLUSTER '{cluster}'
(
    hour DateTime('UTC') CODEC(Delta, ZSTD(1)),
    event_type LowCardinality(String) CODEC(ZSTD(1)),
    user_id LowCardinality(String) CODEC(ZSTD(1)),
    team LowCardinality(String) CODEC(ZSTD(1)),
    department LowCardinality(String) CODEC(ZSTD(1)),
    cost_center LowCardinality(String) CODEC(ZSTD(1)),
    project LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    speed LowCardinality(String) CODEC(ZSTD(1)),
    query_source LowCardinality(String) CODEC(ZSTD(1)),
    workflow_step LowCardinality(String) CODEC(ZSTD(1)),
    agent_name LowCardinality(String) CODEC(ZSTD(1)),
    skill_name LowCardinality(String) CODEC(ZSTD(1)),
    mcp_server_name LowCardinality(String) CODEC(ZSTD(1)),
    mcp_tool_name LowCardinality(String) CODEC(ZSTD(1)),
    tool_name LowCardinality(String) CODEC(ZSTD(1)),
    decision LowCardinality(String) CODEC(ZSTD(1)),
    decision_source LowCardinality(String) CODEC(ZSTD(1)),
    failure LowCardinality(String) CODEC(ZSTD(1)),
    events SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    failures SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    input_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    output_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_read_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_creation_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cost_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    duration_ms SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(hour, 'UTC')
ORDER BY (
    event_type, hour, model, tool_name, failure, user_id, team, department, cost_center, project, service_name, speed,
    query_source, workflow_step, agent_name, skill_name, mcp_server_name, mcp_tool_name, decision, decision_source)
TTL toDate(hour, 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS telemetry_hourly ON CLUSTER '{cluster}' AS telemetry_hourly_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'telemetry_hourly_local');

CREATE MATERIALIZED VIEW IF NOT EXISTS telemetry_hourly_mv ON CLUSTER '{cluster}' TO telemetry_hourly_local AS
SELECT
    toStartOfHour(toDateTime(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')) AS hour,
    event_type, user_id, team, department, cost_center, project, service_name, model, speed, query_source, workflow_step,
    agent_name, skill_name, mcp_server_name, mcp_tool_name, tool_name, decision, decision_source, failure,
    count() AS events,
    countIf(failure != '') AS failures,
    sum(ifNull(input_tokens, 0)) AS input_tokens,
    sum(ifNull(output_tokens, 0)) AS output_tokens,
    sum(ifNull(cache_read_tokens, 0)) AS cache_read_tokens,
    sum(ifNull(cache_creation_tokens, 0)) AS cache_creation_tokens,
    sum(ifNull(cost_nanos, 0)) AS cost_nanos,
    sum(ifNull(duration_ms, 0)) AS duration_ms,
    max(toDateTime64(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 3, 'UTC')) AS last_seen
FROM telemetry_events_local
GROUP BY ALL;

-- The same by the day, for long periods.
CREATE TABLE IF NOT EXISTS telemetry_daily_local ON CLUSTER '{cluster}'
(
    day Date CODEC(Delta, ZSTD(1)),
    event_type LowCardinality(String) CODEC(ZSTD(1)),
    user_id LowCardinality(String) CODEC(ZSTD(1)),
    team LowCardinality(String) CODEC(ZSTD(1)),
    department LowCardinality(String) CODEC(ZSTD(1)),
    cost_center LowCardinality(String) CODEC(ZSTD(1)),
    project LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    speed LowCardinality(String) CODEC(ZSTD(1)),
    query_source LowCardinality(String) CODEC(ZSTD(1)),
    workflow_step LowCardinality(String) CODEC(ZSTD(1)),
    agent_name LowCardinality(String) CODEC(ZSTD(1)),
    skill_name LowCardinality(String) CODEC(ZSTD(1)),
    mcp_server_name LowCardinality(String) CODEC(ZSTD(1)),
    mcp_tool_name LowCardinality(String) CODEC(ZSTD(1)),
    tool_name LowCardinality(String) CODEC(ZSTD(1)),
    decision LowCardinality(String) CODEC(ZSTD(1)),
    decision_source LowCardinality(String) CODEC(ZSTD(1)),
    failure LowCardinality(String) CODEC(ZSTD(1)),
    events SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    failures SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    input_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    output_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_read_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_creation_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cost_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    duration_ms SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(day)
ORDER BY (
    event_type, day, model, tool_name, failure, user_id, team, department, cost_center, project, service_name, speed,
    query_source, workflow_step, agent_name, skill_name, mcp_server_name, mcp_tool_name, decision, decision_source)
TTL toDate(day) + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS telemetry_daily ON CLUSTER '{cluster}' AS telemetry_daily_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'telemetry_daily_local');

CREATE MATERIALIZED VIEW IF NOT EXISTS telemetry_daily_mv ON CLUSTER '{cluster}' TO telemetry_daily_local AS
SELECT
    toDate(hour, 'UTC') AS day,
    event_type, user_id, team, department, cost_center, project, service_name, model, speed, query_source, workflow_step,
    agent_name, skill_name, mcp_server_name, mcp_tool_name, tool_name, decision, decision_source, failure,
    sum(events) AS events,
    sum(failures) AS failures,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_creation_tokens) AS cache_creation_tokens,
    sum(cost_nanos) AS cost_nanos,
    sum(duration_ms) AS duration_ms,
    max(last_seen) AS last_seen
FROM telemetry_hourly_local
GROUP BY ALL;

-- What happened in each session, a row a day. Add the days up by session_id; the totals of a period are those of
-- telemetry_events.
CREATE TABLE IF NOT EXISTS telemetry_sessions_local ON CLUSTER '{cluster}'
(
    day Date CODEC(Delta, ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    started SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    ended SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(ZSTD(1)),
    user_id SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    team SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    department SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    project SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    service_name SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    service_version SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    terminal_type SimpleAggregateFunction(max, LowCardinality(String)) CODEC(ZSTD(1)),
    models SimpleAggregateFunction(groupUniqArrayArray, Array(String)) CODEC(ZSTD(1)),
    events SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    prompts SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    tool_calls SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    tools_failed SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    tools_rejected SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    api_errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    retries_exhausted SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    failures SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    compactions SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    input_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    output_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_read_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_creation_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cost_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    last_failure SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT '1970 when there was none' CODEC(ZSTD(1)),
    last_success SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'of a model request or a tool' CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(day)
ORDER BY session_id
TTL toDate(day) + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS telemetry_sessions ON CLUSTER '{cluster}' AS telemetry_sessions_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'telemetry_sessions_local');

CREATE MATERIALIZED VIEW IF NOT EXISTS telemetry_sessions_mv ON CLUSTER '{cluster}' TO telemetry_sessions_local AS
WITH toDateTime64(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 3, 'UTC') AS time
SELECT
    toDate(time, 'UTC') AS day,
    session_id,
    min(time) AS started,
    max(time) AS ended,
    max(user_id) AS user_id,
    max(team) AS team,
    max(department) AS department,
    max(project) AS project,
    max(service_name) AS service_name,
    max(service_version) AS service_version,
    max(terminal_type) AS terminal_type,
    groupUniqArrayIf(model, event_type = 'api_request') AS models,
    count() AS events,
    countIf(event_type = 'user_prompt') AS prompts,
    countIf(event_type = 'api_request') AS requests,
    countIf(event_type = 'tool_result') AS tool_calls,
    countIf(event_type = 'tool_result' AND success = false) AS tools_failed,
    countIf(event_type = 'tool_decision' AND decision = 'reject') AS tools_rejected,
    countIf(event_type = 'api_error') AS api_errors,
    countIf(event_type = 'api_retries_exhausted') AS retries_exhausted,
    countIf(failure != '') AS failures,
    countIf(event_type = 'compaction') AS compactions,
    sumIf(ifNull(input_tokens, 0), event_type = 'api_request') AS input_tokens,
    sumIf(ifNull(output_tokens, 0), event_type = 'api_request') AS output_tokens,
    sumIf(ifNull(cache_read_tokens, 0), event_type = 'api_request') AS cache_read_tokens,
    sumIf(ifNull(cache_creation_tokens, 0), event_type = 'api_request') AS cache_creation_tokens,
    sumIf(ifNull(cost_nanos, 0), event_type = 'api_request') AS cost_nanos,
    maxIf(time, failure != '') AS last_failure,
    maxIf(time, event_type = 'api_request' OR (event_type = 'tool_result' AND success)) AS last_success
FROM telemetry_events_local
WHERE session_id != ''
GROUP BY day, session_id;

-- What only Claude Code's spans know: the time to the first token, and how long people were waited for. Narrow, since
-- a span's map of attributes is twenty times as much to read; docs/analysis.md has the measurement.
CREATE TABLE IF NOT EXISTS telemetry_spans_local ON CLUSTER '{cluster}'
(
    timestamp DateTime64(9) CODEC(GCD, Delta, LZ4),
    span_type LowCardinality(String) CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id UInt64 COMMENT 'the eight bytes of SpanId: numbers join faster' CODEC(ZSTD(1)),
    parent_span_id UInt64 CODEC(ZSTD(1)),
    session_id LowCardinality(String) CODEC(ZSTD(1)),
    user_id LowCardinality(String) CODEC(ZSTD(1)),
    team LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    tool_name LowCardinality(String) CODEC(ZSTD(1)),
    tool_use_id String CODEC(ZSTD(1)),
    request_id String CODEC(ZSTD(1)),
    success Nullable(Bool) CODEC(ZSTD(1)),
    decision LowCardinality(String) CODEC(ZSTD(1)),
    decision_source LowCardinality(String) CODEC(ZSTD(1)),
    duration_ms Nullable(Float64) CODEC(LZ4),
    ttft_ms Nullable(Float64) CODEC(LZ4)
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')
ORDER BY (span_type, toStartOfHour(timestamp), session_id, timestamp)
TTL toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    min_bytes_for_wide_part = 8388608,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8;

CREATE TABLE IF NOT EXISTS telemetry_spans ON CLUSTER '{cluster}' AS telemetry_spans_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'telemetry_spans_local');

-- A duration is the span's own, which is always a number; the time to the first token is an attribute.
CREATE MATERIALIZED VIEW IF NOT EXISTS telemetry_spans_mv ON CLUSTER '{cluster}' TO telemetry_spans_local AS
WITH
    CAST(SpanAttributes, 'Map(String, String)') AS a,
    ResourceAttributes AS r,
    toFloat64OrNull(a['ttft_ms']) AS ttft
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
    ServiceName AS service_name,
    a['model'] AS model,
    a['tool_name'] AS tool_name,
    a['tool_use_id'] AS tool_use_id,
    a['request_id'] AS request_id,
    CAST(transform(lower(a['success']), ['true', '1', 'false', '0'], [1, 1, 0, 0], NULL), 'Nullable(Bool)') AS success,
    a['decision'] AS decision,
    a['source'] AS decision_source,
    if(Duration > 1e16, NULL, Duration / 1e6) AS duration_ms,
    if(ttft BETWEEN 0 AND 1e10, ttft, NULL) AS ttft_ms
FROM otel_traces_local
WHERE SpanName IN ('claude_code.interaction', 'claude_code.llm_request', 'claude_code.tool', 'claude_code.tool.blocked_on_user');

-- What models cost, in US dollars for a million tokens. Filled at each start from prices.yaml, or from TELEMETRY_PRICES.
CREATE TABLE IF NOT EXISTS model_prices ON CLUSTER '{cluster}'
(
    pattern String COMMENT 'a LIKE pattern for the model, without provider, date and context',
    speed LowCardinality(String) COMMENT 'empty: the usual one',
    prompt_over UInt64 COMMENT 'for prompts of more tokens than this',
    valid_from Date,
    input_usd Float64,
    output_usd Float64,
    cache_write_5m_usd Float64,
    cache_write_1h_usd Float64,
    cache_read_usd Float64
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}', '{shard}-{replica}')
ORDER BY (pattern, speed, prompt_over, valid_from)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- By how much each of Claude Code's counters grew, whichever temporality the client was set to: a delta is taken as it is; a
-- cumulative value less the one before it in its series. A series is told apart by its attributes and its start time, so
-- a resume or a parallel process is one of its own; a value below the one before is a counter that began again.
-- Ask for a period: telemetry_metric_increments(from = …, to = …). Cumulative points of the day before are looked at too.
CREATE VIEW IF NOT EXISTS telemetry_metric_increments ON CLUSTER '{cluster}' AS
WITH
    points AS (
        SELECT
            TimeUnix,
            MetricName,
            ServiceName,
            ResourceAttributes AS r,
            Attributes AS a,
            StartTimeUnix,
            Value,
            AggregationTemporality = 2 AS is_cumulative
        FROM otel_metrics_sum
        WHERE MetricName LIKE 'claude\\_code.%'
            AND TimeUnix >= {from:DateTime('UTC')} - toIntervalDay(1) AND TimeUnix < {to:DateTime('UTC')}
            AND Value >= 0 AND isFinite(Value)
    ),
    series AS (
        SELECT
            * EXCEPT is_cumulative,
            lagInFrame(Value, 1, 0.) OVER (
                PARTITION BY MetricName, ServiceName, StartTimeUnix, cityHash64(toString(r), toString(a))
                ORDER BY TimeUnix
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS previous
        FROM points
        WHERE is_cumulative
    ),
    increments AS (
        SELECT * EXCEPT is_cumulative, Value AS increment FROM points WHERE NOT is_cumulative
        UNION ALL
        SELECT * EXCEPT previous, if(Value < previous, Value, Value - previous) FROM series
    )
SELECT
    TimeUnix AS time,
    substring(MetricName, 13) AS metric,
    a['type'] AS type,
    a['session.id'] AS session_id,
    multiIf(
        a['user.email'] != '', a['user.email'], a['enduser.id'] != '', a['enduser.id'],
        a['user.id'] != '', a['user.id'], a['user.account_uuid']) AS user_id,
    multiIf(
        r['team.id'] != '', r['team.id'], r['team'] != '', r['team'],
        a['team.id'] != '', a['team.id'], a['team']) AS team,
    if(r['department'] != '', r['department'], a['department']) AS department,
    multiIf(
        r['project'] != '', r['project'], r['project.name'] != '', r['project.name'],
        a['project'] != '', a['project'], a['vcs.repository.name']) AS project,
    a['model'] AS model,
    a['query_source'] AS query_source,
    a['tool_name'] AS tool_name,
    a['decision'] AS decision,
    a['source'] AS decision_source,
    a['language'] AS language,
    a['start_type'] AS start_type,
    increment
FROM increments
WHERE TimeUnix >= {from:DateTime('UTC')};

-- What was deleted on demand, and when: the record that it was done, which names nobody. Has no TTL.
CREATE TABLE IF NOT EXISTS telemetry_forgotten_local ON CLUSTER '{cluster}'
(
    done_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    kind LowCardinality(String) COMMENT 'user or session',
    subject String COMMENT 'the hash of who or what was named',
    rows Map(LowCardinality(String), UInt64) COMMENT 'rows deleted, by table'
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
ORDER BY done_at
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS telemetry_forgotten ON CLUSTER '{cluster}' AS telemetry_forgotten_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'telemetry_forgotten_local');

-- Each row keeps the number of the insert that brought it, also after merges: what is new is known by it, late or not.
ALTER TABLE telemetry_events_local ON CLUSTER '{cluster}' MODIFY SETTING enable_block_number_column = 1;

-- Sessions of MCP servers that `mcp_server_telemetry` measures, a row each, written when the session ends. The id is a
-- hash, which the server made.
CREATE TABLE IF NOT EXISTS session_metrics_local ON CLUSTER '{cluster}'
(
    start_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    end_time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    status LowCardinality(String) CODEC(ZSTD(1)),
    transport LowCardinality(String) CODEC(ZSTD(1)),
    duration_seconds Float64 CODEC(ZSTD(1)),
    token_count UInt64 CODEC(ZSTD(1)),
    message_count UInt64 CODEC(ZSTD(1)),
    checkpoint_count UInt64 CODEC(ZSTD(1)),
    error_count UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(start_time, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), 'UTC')
ORDER BY (service_name, start_time)
TTL toDate(least(start_time, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), 'UTC') + toIntervalDay(30)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS session_metrics ON CLUSTER '{cluster}' AS session_metrics_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'session_metrics_local');

CREATE MATERIALIZED VIEW IF NOT EXISTS session_metrics_mv ON CLUSTER '{cluster}' TO session_metrics_local AS
SELECT
    toDateTime64(Timestamp, 3, 'UTC') AS start_time,
    toDateTime64(Timestamp + toIntervalNanosecond(Duration), 3, 'UTC') AS end_time,
    ServiceName AS service_name,
    SpanAttributes['mcp.session.id'] AS session_id,
    SpanAttributes['mcp.model'] AS model,
    SpanAttributes['mcp.session.status'] AS status,
    SpanAttributes['network.transport'] AS transport,
    Duration / 1e9 AS duration_seconds,
    toUInt64OrZero(SpanAttributes['mcp.session.tokens']) AS token_count,
    toUInt64OrZero(SpanAttributes['mcp.session.messages']) AS message_count,
    toUInt64OrZero(SpanAttributes['mcp.session.checkpoints']) AS checkpoint_count,
    toUInt64OrZero(SpanAttributes['mcp.session.errors']) AS error_count
FROM otel_traces_local
WHERE SpanName = 'mcp.session' AND ScopeName = 'mcp_server_telemetry';

-- The metrics of MCP servers, `mcp.…`, a row a point. `value` is a histogram's sum, with its number of values in `count`;
-- of all others it is the value, and the count is 1. Sums and histograms grow from `started` on unless `is_delta`.
CREATE TABLE IF NOT EXISTS performance_metrics_local ON CLUSTER '{cluster}'
(
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    started DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    service_instance String CODEC(ZSTD(1)),
    metric_name LowCardinality(String) CODEC(ZSTD(1)),
    value Float64 CODEC(ZSTD(1)),
    count UInt64 CODEC(ZSTD(1)),
    is_delta Bool CODEC(ZSTD(1)),
    labels Map(LowCardinality(String), String) CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), 'UTC')
ORDER BY (service_name, metric_name, timestamp)
TTL toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), 'UTC') + toIntervalDay(30)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS performance_metrics ON CLUSTER '{cluster}' AS performance_metrics_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'performance_metrics_local');

CREATE MATERIALIZED VIEW IF NOT EXISTS performance_metrics_sum_mv ON CLUSTER '{cluster}' TO performance_metrics_local AS
SELECT
    toDateTime64(TimeUnix, 3, 'UTC') AS timestamp,
    toDateTime64(StartTimeUnix, 3, 'UTC') AS started,
    ServiceName AS service_name,
    ResourceAttributes['service.instance.id'] AS service_instance,
    MetricName AS metric_name,
    Value AS value,
    toUInt64(1) AS count,
    AggregationTemporality = 1 AS is_delta,
    Attributes AS labels
FROM otel_metrics_sum_local
WHERE startsWith(MetricName, 'mcp.');

CREATE MATERIALIZED VIEW IF NOT EXISTS performance_metrics_gauge_mv ON CLUSTER '{cluster}' TO performance_metrics_local AS
SELECT
    toDateTime64(TimeUnix, 3, 'UTC') AS timestamp,
    toDateTime64(StartTimeUnix, 3, 'UTC') AS started,
    ServiceName AS service_name,
    ResourceAttributes['service.instance.id'] AS service_instance,
    MetricName AS metric_name,
    Value AS value,
    toUInt64(1) AS count,
    false AS is_delta,
    Attributes AS labels
FROM otel_metrics_gauge_local
WHERE startsWith(MetricName, 'mcp.');

CREATE MATERIALIZED VIEW IF NOT EXISTS performance_metrics_histogram_mv ON CLUSTER '{cluster}' TO performance_metrics_local AS
SELECT
    toDateTime64(TimeUnix, 3, 'UTC') AS timestamp,
    toDateTime64(StartTimeUnix, 3, 'UTC') AS started,
    ServiceName AS service_name,
    ResourceAttributes['service.instance.id'] AS service_instance,
    MetricName AS metric_name,
    Sum AS value,
    toUInt64(Count) AS count,
    AggregationTemporality = 1 AS is_delta,
    Attributes AS labels
FROM otel_metrics_histogram_local
WHERE startsWith(MetricName, 'mcp.');

-- Uses of tools, prompts and resources of MCP servers, a row a day and feature. Add the rows up:
-- sum(usage_count), uniqMerge(unique_users). Users are hashes, which the server made.
CREATE TABLE IF NOT EXISTS feature_usage_local ON CLUSTER '{cluster}'
(
    date Date CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    feature String CODEC(ZSTD(1)),
    usage_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    error_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    unique_users AggregateFunction(uniq, Nullable(String)) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(date)
ORDER BY (service_name, feature)
TTL toDate(date) + toIntervalDay(30)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS feature_usage ON CLUSTER '{cluster}' AS feature_usage_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'feature_usage_local');

CREATE MATERIALIZED VIEW IF NOT EXISTS feature_usage_mv ON CLUSTER '{cluster}' TO feature_usage_local AS
WITH
    SpanAttributes['mcp.method.name'] AS method,
    SpanAttributes['gen_ai.tool.name'] AS tool,
    SpanAttributes['gen_ai.prompt.name'] AS prompt
SELECT
    toDate(least(Timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') AS date,
    ServiceName AS service_name,
    multiIf(
        method = 'tools/call', if(tool = '', 'tool', concat('tool:', tool)),
        method = 'prompts/get', if(prompt = '', 'prompt', concat('prompt:', prompt)),
        'resource') AS feature,
    count() AS usage_count,
    countIf(SpanAttributes['error.type'] != '') AS error_count,
    uniqState(nullIf(SpanAttributes['enduser.pseudo.id'], '')) AS unique_users
FROM otel_traces_local
WHERE ScopeName = 'mcp_server_telemetry'
    AND SpanAttributes['mcp.method.name'] IN ('tools/call', 'prompts/get', 'resources/read')
GROUP BY date, service_name, feature;

-- By how much each of Claude Code's counters grew, whichever temporality the client was set to: a delta is taken as it is; a
-- cumulative value less the one before it in its series, however long ago that was. A series is told apart by its
-- attributes and its start time, so a resume or a parallel process is one of its own; a value below the one before is a
-- counter that began again. A point that has no value is none, and of those of the same series and time the largest counts.
-- The growth lies between `since` and `time`, and counts at `time`.
-- Ask for a period: telemetry_metric_increments(from = …, to = …). Days before it are read as far back as the cumulative
-- series in it began, and none for deltas.
CREATE OR REPLACE VIEW telemetry_metric_increments ON CLUSTER '{cluster}' AS
WITH
    cumulative_since AS (
        SELECT min(StartTimeUnix) AS earliest
        FROM otel_metrics_sum
        WHERE MetricName LIKE 'claude\\_code.%' AND AggregationTemporality = 2
            AND TimeUnix >= {from:DateTime('UTC')} AND TimeUnix < {to:DateTime('UTC')}
        HAVING count() > 0
    ),
    points AS (
        SELECT
            TimeUnix,
            MetricName,
            ServiceName,
            ResourceAttributes AS r,
            Attributes AS a,
            StartTimeUnix,
            Value,
            AggregationTemporality = 2 AS is_cumulative,
            cityHash64(MetricName, ServiceName, StartTimeUnix, toString(r), toString(a), is_cumulative) AS series
        FROM otel_metrics_sum
        WHERE MetricName LIKE 'claude\\_code.%'
            AND TimeUnix >= least({from:DateTime('UTC')}, coalesce((SELECT earliest FROM cumulative_since), {from:DateTime('UTC')}))
            AND TimeUnix < {to:DateTime('UTC')}
            AND (TimeUnix >= {from:DateTime('UTC')} OR AggregationTemporality = 2)
            AND Value >= 0 AND isFinite(Value) AND bitAnd(Flags, 1) = 0
        ORDER BY Value DESC
        LIMIT 1 BY series, TimeUnix
    ),
    series AS (
        SELECT
            * EXCEPT is_cumulative,
            lagInFrame(Value, 1, 0.) OVER before AS previous,
            lagInFrame(TimeUnix, 1, StartTimeUnix) OVER before AS since
        FROM points
        WHERE is_cumulative
        WINDOW before AS (PARTITION BY series ORDER BY TimeUnix ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    ),
    increments AS (
        SELECT * EXCEPT is_cumulative, StartTimeUnix AS since, Value AS increment FROM points WHERE NOT is_cumulative
        UNION ALL
        SELECT * EXCEPT previous, if(Value < previous, Value, Value - previous) FROM series
    )
SELECT
    TimeUnix AS time,
    substring(MetricName, 13) AS metric,
    a['type'] AS type,
    a['session.id'] AS session_id,
    multiIf(
        a['user.email'] != '', a['user.email'], a['enduser.id'] != '', a['enduser.id'],
        a['user.id'] != '', a['user.id'], a['user.account_uuid']) AS user_id,
    multiIf(
        r['team.id'] != '', r['team.id'], r['team'] != '', r['team'],
        a['team.id'] != '', a['team.id'], a['team']) AS team,
    if(r['department'] != '', r['department'], a['department']) AS department,
    multiIf(
        r['project'] != '', r['project'], r['project.name'] != '', r['project.name'],
        a['project'] != '', a['project'], a['vcs.repository.name']) AS project,
    a['model'] AS model,
    a['query_source'] AS query_source,
    a['tool_name'] AS tool_name,
    a['decision'] AS decision,
    a['source'] AS decision_source,
    a['language'] AS language,
    a['start_type'] AS start_type,
    increment,
    since
FROM increments
WHERE TimeUnix >= {from:DateTime('UTC')};

-- As before, without points that have no value.
ALTER TABLE performance_metrics_sum_mv ON CLUSTER '{cluster}' MODIFY QUERY
SELECT
    toDateTime64(TimeUnix, 3, 'UTC') AS timestamp,
    toDateTime64(StartTimeUnix, 3, 'UTC') AS started,
    ServiceName AS service_name,
    ResourceAttributes['service.instance.id'] AS service_instance,
    MetricName AS metric_name,
    Value AS value,
    toUInt64(1) AS count,
    AggregationTemporality = 1 AS is_delta,
    Attributes AS labels
FROM otel_metrics_sum_local
WHERE startsWith(MetricName, 'mcp.')
    AND isFinite(Value);

-- As before, without points that have no value.
ALTER TABLE performance_metrics_gauge_mv ON CLUSTER '{cluster}' MODIFY QUERY
SELECT
    toDateTime64(TimeUnix, 3, 'UTC') AS timestamp,
    toDateTime64(StartTimeUnix, 3, 'UTC') AS started,
    ServiceName AS service_name,
    ResourceAttributes['service.instance.id'] AS service_instance,
    MetricName AS metric_name,
    Value AS value,
    toUInt64(1) AS count,
    false AS is_delta,
    Attributes AS labels
FROM otel_metrics_gauge_local
WHERE startsWith(MetricName, 'mcp.')
    AND isFinite(Value);

-- As before, without points that have no value.
ALTER TABLE performance_metrics_histogram_mv ON CLUSTER '{cluster}' MODIFY QUERY
SELECT
    toDateTime64(TimeUnix, 3, 'UTC') AS timestamp,
    toDateTime64(StartTimeUnix, 3, 'UTC') AS started,
    ServiceName AS service_name,
    ResourceAttributes['service.instance.id'] AS service_instance,
    MetricName AS metric_name,
    Sum AS value,
    toUInt64(Count) AS count,
    AggregationTemporality = 1 AS is_delta,
    Attributes AS labels
FROM otel_metrics_histogram_local
WHERE startsWith(MetricName, 'mcp.')
    AND bitAnd(Flags, 1) = 0;

-- What a request cost and how that is known; the one name of its model; and what was tried, to see whether it worked later.
ALTER TABLE telemetry_events_local ON CLUSTER '{cluster}'
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
        CODEC(ZSTD(1)) AFTER failure;

-- What a request cost and how that is known; the one name of its model; and what was tried, to see whether it worked later.
ALTER TABLE telemetry_events ON CLUSTER '{cluster}'
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
        CODEC(ZSTD(1)) AFTER failure;

-- How much of the cost is recomputed from tokens and prices, and how many requests have none that is known.
ALTER TABLE telemetry_hourly_local ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS recomputed_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER cost_nanos,
    ADD COLUMN IF NOT EXISTS unpriced SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER recomputed_nanos;

-- How much of the cost is recomputed from tokens and prices, and how many requests have none that is known.
ALTER TABLE telemetry_hourly ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS recomputed_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER cost_nanos,
    ADD COLUMN IF NOT EXISTS unpriced SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER recomputed_nanos;

-- With what is recomputed and unknown of the cost.
ALTER TABLE telemetry_hourly_mv ON CLUSTER '{cluster}' MODIFY QUERY
SELECT
    toStartOfHour(toDateTime(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')) AS hour,
    event_type, user_id, team, department, cost_center, project, service_name, model, speed, query_source, workflow_step,
    agent_name, skill_name, mcp_server_name, mcp_tool_name, tool_name, decision, decision_source, failure,
    count() AS events,
    countIf(failure != '') AS failures,
    sum(ifNull(input_tokens, 0)) AS input_tokens,
    sum(ifNull(output_tokens, 0)) AS output_tokens,
    sum(ifNull(cache_read_tokens, 0)) AS cache_read_tokens,
    sum(ifNull(cache_creation_tokens, 0)) AS cache_creation_tokens,
    sum(ifNull(cost_nanos, 0)) AS cost_nanos,
    sumIf(ifNull(e.cost_nanos, 0), e.cost_source = 'recomputed') AS recomputed_nanos,
    countIf(e.cost_source = 'unknown') AS unpriced,
    sum(ifNull(duration_ms, 0)) AS duration_ms,
    max(toDateTime64(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 3, 'UTC')) AS last_seen
FROM telemetry_events_local AS e
GROUP BY ALL;

-- How much of the cost is recomputed from tokens and prices, and how many requests have none that is known.
ALTER TABLE telemetry_daily_local ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS recomputed_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER cost_nanos,
    ADD COLUMN IF NOT EXISTS unpriced SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER recomputed_nanos;

-- How much of the cost is recomputed from tokens and prices, and how many requests have none that is known.
ALTER TABLE telemetry_daily ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS recomputed_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER cost_nanos,
    ADD COLUMN IF NOT EXISTS unpriced SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER recomputed_nanos;

-- With what is recomputed and unknown of the cost.
ALTER TABLE telemetry_daily_mv ON CLUSTER '{cluster}' MODIFY QUERY
SELECT
    toDate(hour, 'UTC') AS day,
    event_type, user_id, team, department, cost_center, project, service_name, model, speed, query_source, workflow_step,
    agent_name, skill_name, mcp_server_name, mcp_tool_name, tool_name, decision, decision_source, failure,
    sum(events) AS events,
    sum(failures) AS failures,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_creation_tokens) AS cache_creation_tokens,
    sum(cost_nanos) AS cost_nanos,
    sum(h.recomputed_nanos) AS recomputed_nanos,
    sum(h.unpriced) AS unpriced,
    sum(duration_ms) AS duration_ms,
    max(last_seen) AS last_seen
FROM telemetry_hourly_local AS h
GROUP BY ALL;

-- How much of the cost is recomputed from tokens and prices, and how many requests have none that is known.
ALTER TABLE telemetry_sessions_local ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS recomputed_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER cost_nanos,
    ADD COLUMN IF NOT EXISTS unpriced SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER recomputed_nanos;

-- How much of the cost is recomputed from tokens and prices, and how many requests have none that is known.
ALTER TABLE telemetry_sessions ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS recomputed_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER cost_nanos,
    ADD COLUMN IF NOT EXISTS unpriced SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER recomputed_nanos;

-- With what is recomputed and unknown of the cost.
ALTER TABLE telemetry_sessions_mv ON CLUSTER '{cluster}' MODIFY QUERY
WITH toDateTime64(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 3, 'UTC') AS time
SELECT
    toDate(time, 'UTC') AS day,
    session_id,
    min(time) AS started,
    max(time) AS ended,
    max(user_id) AS user_id,
    max(team) AS team,
    max(department) AS department,
    max(project) AS project,
    max(service_name) AS service_name,
    max(service_version) AS service_version,
    max(terminal_type) AS terminal_type,
    groupUniqArrayIf(model, event_type = 'api_request') AS models,
    count() AS events,
    countIf(event_type = 'user_prompt') AS prompts,
    countIf(event_type = 'api_request') AS requests,
    countIf(event_type = 'tool_result') AS tool_calls,
    countIf(event_type = 'tool_result' AND success = false) AS tools_failed,
    countIf(event_type = 'tool_decision' AND decision = 'reject') AS tools_rejected,
    countIf(event_type = 'api_error') AS api_errors,
    countIf(event_type = 'api_retries_exhausted') AS retries_exhausted,
    countIf(failure != '') AS failures,
    countIf(event_type = 'compaction') AS compactions,
    sumIf(ifNull(input_tokens, 0), event_type = 'api_request') AS input_tokens,
    sumIf(ifNull(output_tokens, 0), event_type = 'api_request') AS output_tokens,
    sumIf(ifNull(cache_read_tokens, 0), event_type = 'api_request') AS cache_read_tokens,
    sumIf(ifNull(cache_creation_tokens, 0), event_type = 'api_request') AS cache_creation_tokens,
    sumIf(ifNull(cost_nanos, 0), event_type = 'api_request') AS cost_nanos,
    sumIf(ifNull(e.cost_nanos, 0), e.cost_source = 'recomputed') AS recomputed_nanos,
    countIf(e.cost_source = 'unknown') AS unpriced,
    maxIf(time, failure != '') AS last_failure,
    maxIf(time, event_type = 'api_request' OR (event_type = 'tool_result' AND success)) AS last_success
FROM telemetry_events_local AS e
WHERE session_id != ''
GROUP BY day, session_id;

-- How often a request was tried, also one that was answered in the end, and why the model stopped.
ALTER TABLE telemetry_spans_local ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS attempt Nullable(UInt64) COMMENT 'tries of a model request' CODEC(T64, LZ4),
    ADD COLUMN IF NOT EXISTS stop_reason LowCardinality(String) COMMENT 'tool_use, end_turn, …' CODEC(ZSTD(1));

-- How often a request was tried, also one that was answered in the end, and why the model stopped.
ALTER TABLE telemetry_spans ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS attempt Nullable(UInt64) COMMENT 'tries of a model request' CODEC(T64, LZ4),
    ADD COLUMN IF NOT EXISTS stop_reason LowCardinality(String) COMMENT 'tool_use, end_turn, …' CODEC(ZSTD(1));

-- The client's version and the project, as events have them; spans that were stored before have neither.
ALTER TABLE telemetry_spans_local ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS service_version LowCardinality(String) CODEC(ZSTD(1)) AFTER service_name,
    ADD COLUMN IF NOT EXISTS project LowCardinality(String) CODEC(ZSTD(1)) AFTER team;

-- The client's version and the project, as events have them; spans that were stored before have neither.
ALTER TABLE telemetry_spans ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS service_version LowCardinality(String) CODEC(ZSTD(1)) AFTER service_name,
    ADD COLUMN IF NOT EXISTS project LowCardinality(String) CODEC(ZSTD(1)) AFTER team;

-- As 0029, with the tries of a request and why the model stopped, the client's version and the project.
ALTER TABLE telemetry_spans_mv ON CLUSTER '{cluster}' MODIFY QUERY
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
FROM otel_traces_local
WHERE SpanName IN ('claude_code.interaction', 'claude_code.llm_request', 'claude_code.tool', 'claude_code.tool.blocked_on_user');

-- When a record was stored, to tell clocks that are wrong, and the machine that it is from.
ALTER TABLE telemetry_events_local ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS arrived DateTime64(3, 'UTC')
        COMMENT 'when it was stored, by the server''s clock; 1970 for what was stored before this column was there'
        CODEC(Delta, ZSTD(1)) AFTER timestamp,
    ADD COLUMN IF NOT EXISTS host_name LowCardinality(String)
        COMMENT 'the machine, where OTEL_RESOURCE_ATTRIBUTES says so' CODEC(ZSTD(1)) AFTER terminal_type;

-- When a record was stored, to tell clocks that are wrong, and the machine that it is from.
ALTER TABLE telemetry_events ON CLUSTER '{cluster}'
    ADD COLUMN IF NOT EXISTS arrived DateTime64(3, 'UTC')
        COMMENT 'when it was stored, by the server''s clock; 1970 for what was stored before this column was there'
        CODEC(Delta, ZSTD(1)) AFTER timestamp,
    ADD COLUMN IF NOT EXISTS host_name LowCardinality(String)
        COMMENT 'the machine, where OTEL_RESOURCE_ATTRIBUTES says so' CODEC(ZSTD(1)) AFTER terminal_type;

-- As 0021, but that what was counted before is not an event again (docs/decisions/0018), that all after the server in
-- mcp__server__tool belongs to the tool, and that a request without a cost is priced by its tokens, where they and the
-- model's price are known. The longest pattern counts, the band of prompts that the request is in, and the latest price
-- of its day, as in queries/prices.sql. A failed request says its status also where it stands in its message alone, as
-- after the last retry ("Repeated 529 Overloaded errors"), and the failures of tools of MCP servers, which the client all
-- calls `mcp_tool`, are told apart by server and tool where these are sent. A prompt that is sent as `prompt_text` too is
-- content like the other. The time at which it is stored and the machine are columns too; a repeated insert stores
-- nothing, and changes neither.
ALTER TABLE telemetry_events_mv ON CLUSTER '{cluster}' MODIFY QUERY
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
            -- The functions of a LowCardinality are called for each of its values, not for each row.
            CAST(if(is_priced, a['model'], ''), 'LowCardinality(String)') AS priced_model,
            if(position(lower(trimBoth(priced_model)), 'claude') > 0, replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(replaceRegexpAll(lower(trimBoth(priced_model)), '^.*claude', 'claude'), '[\\[@:(].*$', ''), '[ ._/]+', '-'), '([0-9])([a-z]{3,})', '\\1-\\2'), '([a-z]{3,})([0-9])', '\\1-\\2'), '-+', '-'), '(-(latest|default|thinking|thought|v[0-9]+|20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]+[km]))+$', ''), '^claude-([4-9]|[1-9][0-9])((-[0-9]{1,2})?)-([a-z]+)$', 'claude-\\4-\\1\\2'), '^claude-([a-z]+)-3((-[0-9]{1,2})?)$', 'claude-3\\2-\\1'), '^(claude-[a-z]+-[0-9]+)-0$', '\\1'), '^claude-([0-9]+)-0-', 'claude-\\1-'), replaceRegexpAll(lower(trimBoth(priced_model)), '(-latest|[-@]20[0-9]{6}.*|@.*|-v[0-9]+(:[0-9]+)?|\\[.*)$', '')) AS priced_name,
            if(a['speed'] IN ('', 'normal', 'standard'), '', a['speed']) AS priced_speed,
            toDate(Timestamp, 'UTC') AS priced_day,
            ifNull(n['cache_read_tokens'], 0) AS cached,
            ifNull(n['cache_creation_tokens'], 0) AS written,
            least(ifNull(n['cache_creation_1h_tokens'], 0), written) AS written_1h,
            greatest(ifNull(n['input_tokens'], 0) + cached + written, 1) AS priced_prompt,
            (ifNull(n['input_tokens'], 0), ifNull(n['output_tokens'], 0), cached, written - written_1h, written_1h) AS priced_tokens
        FROM otel_logs_local
        WHERE (startsWith(ScopeName, 'com.anthropic.') OR startsWith(EventName, 'claude_code.') OR startsWith(Body, 'claude_code.')
                OR (ServiceName IN ('claude-code', 'claude-code-desktop', 'cowork') AND mapContains(LogAttributes, 'event.name')))
            AND NOT mapContains(LogAttributes, 'telemetry.repeated')
    )
SELECT
    Timestamp AS timestamp,
    now64(3, 'UTC') AS arrived,
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
    a['model'] AS model,
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
            if(Timestamp > now64(9, 'UTC') + toIntervalDay(1), 'time_too_late', '')
        ])) AS quality,
    mapFilter(
        (key, value) -> key NOT IN text_keys AND key NOT IN content_keys AND key != user_key
            AND NOT (key = 'source' AND type = 'tool_decision') AND NOT (key = 'success' AND success_sent IS NOT NULL)
            AND (key NOT IN number_keys OR has(wrong, key)),
        LogAttributes) AS attributes
FROM records;

-- What findings are made from: counts, and of durations, costs and shares the sums and the sums of squares, whose means and
-- spreads can be compared, by the hour, for each combination of user, team, project, client version and what was tried.
-- A row is an hour of one thing of one person, so there are never more rows than events. Durations and costs have long
-- tails: what is added up is their logarithm. Add all numbers up.
CREATE TABLE IF NOT EXISTS telemetry_measures_local ON CLUSTER '{cluster}'
(
    hour DateTime('UTC') CODEC(Delta, ZSTD(1)),
    event_type LowCardinality(String) CODEC(ZSTD(1)),
    thing LowCardinality(String) COMMENT 'the tool, the model, the hook or the MCP server, by event_type' CODEC(ZSTD(1)),
    part LowCardinality(String) COMMENT 'the program that a shell tool ran, or the status of a failed request' CODEC(ZSTD(1)),
    mcp_server_name LowCardinality(String) CODEC(ZSTD(1)),
    user_id LowCardinality(String) CODEC(ZSTD(1)),
    team LowCardinality(String) CODEC(ZSTD(1)),
    project LowCardinality(String) CODEC(ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    service_version LowCardinality(String) CODEC(ZSTD(1)),
    events SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    failures SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    refusals SimpleAggregateFunction(sum, UInt64) COMMENT 'rejected by a decision, or blocked by a hook' CODEC(T64, ZSTD(1)),
    repeatable SimpleAggregateFunction(sum, UInt64) COMMENT 'calls whose input is known, so that the same one again is seen' CODEC(T64, ZSTD(1)),
    duration_ms SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    failed_ms SimpleAggregateFunction(sum, Float64) COMMENT 'the part of duration_ms that failures took' CODEC(ZSTD(1)),
    timed SimpleAggregateFunction(sum, UInt64) COMMENT 'those with a duration, of tools those that succeeded' CODEC(T64, ZSTD(1)),
    log_ms SimpleAggregateFunction(sum, Float64) COMMENT 'of these, the natural logarithms of the durations' CODEC(ZSTD(1)),
    log_ms_squared SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    ttft_timed SimpleAggregateFunction(sum, UInt64) COMMENT 'requests with a time to the first token' CODEC(T64, ZSTD(1)),
    ttft_ms SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    log_ttft SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    log_ttft_squared SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    input_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    output_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_read_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cache_creation_tokens SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    cacheable SimpleAggregateFunction(sum, UInt64) COMMENT 'requests of 4,000 tokens and more: a smaller prompt is not worth a cache' CODEC(T64, ZSTD(1)),
    uncached SimpleAggregateFunction(sum, Float64) COMMENT 'of these, the shares of the input that was not cached' CODEC(ZSTD(1)),
    uncached_squared SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    cost_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    recomputed_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    unpriced SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    agents_nanos SimpleAggregateFunction(sum, UInt64) COMMENT 'the part of cost_nanos that subagents asked for' CODEC(T64, ZSTD(1)),
    compactions_nanos SimpleAggregateFunction(sum, UInt64) COMMENT 'the part of cost_nanos that compactions cost' CODEC(T64, ZSTD(1)),
    priced SimpleAggregateFunction(sum, UInt64) COMMENT 'requests that cost something' CODEC(T64, ZSTD(1)),
    log_usd SimpleAggregateFunction(sum, Float64) COMMENT 'of these, the natural logarithms of the dollars' CODEC(ZSTD(1)),
    log_usd_squared SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime('UTC')) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{database}/{table}/{shard}', '{replica}')
PARTITION BY toDate(hour, 'UTC')
ORDER BY (event_type, hour, thing, part, mcp_server_name, user_id, team, project, service_name, service_version)
TTL toDate(hour, 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS telemetry_measures ON CLUSTER '{cluster}' AS telemetry_measures_local
ENGINE = Distributed('{cluster}', currentDatabase(), 'telemetry_measures_local', cityHash64(user_id));

-- Filled with what is stored. Events of other kinds are counted nowhere in findings, and are not here.
CREATE MATERIALIZED VIEW IF NOT EXISTS telemetry_measures_mv ON CLUSTER '{cluster}' TO telemetry_measures_local AS
WITH
    event_type = 'api_request' AS is_request,
    e.duration_ms IS NOT NULL AND (event_type != 'tool_result' OR failure = '') AS is_timed,
    log(greatest(ifNull(e.duration_ms, 1), 1)) AS logged,
    is_request AND e.ttft_ms > 0 AS has_first,
    log(greatest(ifNull(e.ttft_ms, 1), 1)) AS logged_first,
    ifNull(e.input_tokens, 0) + ifNull(e.cache_read_tokens, 0) + ifNull(e.cache_creation_tokens, 0) AS prompt,
    is_request AND prompt >= 4000 AS is_cacheable,
    1 - ifNull(e.cache_read_tokens, 0) / prompt AS share,
    is_request AND e.cost_nanos > 0 AS is_priced,
    log(ifNull(e.cost_nanos, 1) / 1e9) AS logged_cost,
    if(is_request, ifNull(e.cost_nanos, 0), 0) AS nanos
SELECT
    toStartOfHour(toDateTime(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')) AS hour,
    event_type,
    multiIf(
        event_type IN ('tool_result', 'tool_decision'), tool_name,
        event_type IN ('api_request', 'api_error'), model_name,
        event_type = 'hook_execution_complete', toLowCardinality(attributes['hook_name']),
        event_type = 'mcp_server_connection', e.mcp_server_name,
        '') AS thing,
    multiIf(event_type = 'tool_result', command, event_type = 'api_error', api_error_code, '') AS part,
    if(event_type = 'tool_result', e.mcp_server_name, '') AS mcp_server_name,
    user_id, team, project, service_name, service_version,
    count() AS events,
    countIf(failure != '') AS failures,
    countIf(decision IN ('reject', 'block')) AS refusals,
    countIf(event_type = 'tool_result' AND input_id != 0) AS repeatable,
    sum(ifNull(e.duration_ms, 0)) AS duration_ms,
    sumIf(ifNull(e.duration_ms, 0), failure != '') AS failed_ms,
    countIf(is_timed) AS timed,
    sumIf(logged, is_timed) AS log_ms,
    sumIf(logged * logged, is_timed) AS log_ms_squared,
    countIf(has_first) AS ttft_timed,
    sumIf(ifNull(e.ttft_ms, 0), has_first) AS ttft_ms,
    sumIf(logged_first, has_first) AS log_ttft,
    sumIf(logged_first * logged_first, has_first) AS log_ttft_squared,
    sumIf(ifNull(e.input_tokens, 0), is_request) AS input_tokens,
    sumIf(ifNull(e.output_tokens, 0), is_request) AS output_tokens,
    sumIf(ifNull(e.cache_read_tokens, 0), is_request) AS cache_read_tokens,
    sumIf(ifNull(e.cache_creation_tokens, 0), is_request) AS cache_creation_tokens,
    countIf(is_cacheable) AS cacheable,
    sumIf(share, is_cacheable) AS uncached,
    sumIf(share * share, is_cacheable) AS uncached_squared,
    sum(nanos) AS cost_nanos,
    sumIf(nanos, cost_source = 'recomputed') AS recomputed_nanos,
    countIf(cost_source = 'unknown') AS unpriced,
    sumIf(nanos, agent_name != '' OR startsWith(query_source, 'agent')) AS agents_nanos,
    sumIf(nanos, query_source = 'compact') AS compactions_nanos,
    countIf(is_priced) AS priced,
    sumIf(logged_cost, is_priced) AS log_usd,
    sumIf(logged_cost * logged_cost, is_priced) AS log_usd_squared,
    max(toDateTime(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')) AS last_seen
FROM telemetry_events_local AS e
WHERE (event_type IN ('api_request', 'api_error', 'tool_result', 'hook_execution_complete', 'user_prompt', 'compaction', 'subagent_completed')
        -- What a rule allows is no answer of a person.
        OR (event_type = 'tool_decision' AND (decision = 'reject' OR startsWith(decision_source, 'user')))
        OR (event_type = 'mcp_server_connection' AND attributes['status'] IN ('connected', 'failed')))
GROUP BY ALL;

-- By how much each of Claude Code's counters grew, whichever temporality the client was set to: a delta is taken as it is; a
-- cumulative value less the one before it in its series, however long ago that was. A series is told apart by its
-- attributes and its start time, so a resume or a parallel process is one of its own; a value below the one before is a
-- counter that began again. A point that has no value is none, and of those of the same series and time the largest counts.
-- The growth lies between `since` and `time`, and counts at `time`.
-- Ask for a period: telemetry_metric_increments(from = …, to = …). Days before it are read as far back as the cumulative
-- series in it began, and none for deltas.
CREATE OR REPLACE VIEW telemetry_metric_increments ON CLUSTER '{cluster}' AS
WITH
    cumulative_since AS (
        SELECT min(StartTimeUnix) AS earliest
        FROM otel_metrics_sum
        WHERE MetricName LIKE 'claude\\_code.%' AND AggregationTemporality = 2
            AND TimeUnix >= {from:DateTime('UTC')} AND TimeUnix < {to:DateTime('UTC')}
        HAVING count() > 0
    ),
    -- Each temporality is read by itself: a step that both had in common would be worked out for both of them.
    deltas AS (
        SELECT
            TimeUnix,
            MetricName,
            ResourceAttributes AS r,
            Attributes AS a,
            StartTimeUnix,
            Value,
            cityHash64(MetricName, ServiceName, StartTimeUnix, r, a) AS series
        FROM otel_metrics_sum
        WHERE MetricName LIKE 'claude\\_code.%' AND AggregationTemporality != 2
            AND TimeUnix >= {from:DateTime('UTC')} AND TimeUnix < {to:DateTime('UTC')}
            AND Value >= 0 AND isFinite(Value) AND bitAnd(Flags, 1) = 0
        ORDER BY Value DESC
        LIMIT 1 BY series, TimeUnix
    ),
    points AS (
        SELECT
            TimeUnix,
            MetricName,
            ResourceAttributes AS r,
            Attributes AS a,
            StartTimeUnix,
            Value,
            cityHash64(MetricName, ServiceName, StartTimeUnix, r, a) AS series
        FROM otel_metrics_sum
        WHERE MetricName LIKE 'claude\\_code.%' AND AggregationTemporality = 2
            AND TimeUnix >= least({from:DateTime('UTC')}, coalesce((SELECT earliest FROM cumulative_since), {from:DateTime('UTC')})) AND TimeUnix < {to:DateTime('UTC')}
            AND Value >= 0 AND isFinite(Value) AND bitAnd(Flags, 1) = 0
        ORDER BY Value DESC
        LIMIT 1 BY series, TimeUnix
    ),
    increments AS (
        SELECT TimeUnix, MetricName, r, a, StartTimeUnix AS since, Value AS increment FROM deltas
        UNION ALL
        SELECT TimeUnix, MetricName, r, a, since, if(Value < previous, Value, Value - previous)
        FROM (
            SELECT
                *,
                lagInFrame(Value, 1, 0.) OVER before AS previous,
                lagInFrame(TimeUnix, 1, StartTimeUnix) OVER before AS since
            FROM points
            WINDOW before AS (PARTITION BY series ORDER BY TimeUnix ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
        )
    )
SELECT
    TimeUnix AS time,
    substring(MetricName, 13) AS metric,
    a['type'] AS type,
    a['session.id'] AS session_id,
    multiIf(
        a['user.email'] != '', a['user.email'], a['enduser.id'] != '', a['enduser.id'],
        a['user.id'] != '', a['user.id'], a['user.account_uuid']) AS user_id,
    multiIf(
        r['team.id'] != '', r['team.id'], r['team'] != '', r['team'],
        a['team.id'] != '', a['team.id'], a['team']) AS team,
    if(r['department'] != '', r['department'], a['department']) AS department,
    multiIf(
        r['project'] != '', r['project'], r['project.name'] != '', r['project.name'],
        a['project'] != '', a['project'], a['vcs.repository.name']) AS project,
    a['model'] AS model,
    a['query_source'] AS query_source,
    a['tool_name'] AS tool_name,
    a['decision'] AS decision,
    a['source'] AS decision_source,
    a['language'] AS language,
    a['start_type'] AS start_type,
    increment,
    since
FROM increments
WHERE TimeUnix >= {from:DateTime('UTC')};

-- By how much some of Claude Code's counters grew, whichever temporality the client was set to: a delta is taken as it is;
-- a cumulative value less the one before it in its series, however long ago that was. A series is told apart by its
-- attributes and its start time, so a resume or a parallel process is one of its own; a value below the one before is a
-- counter that began again. A point that has no value is none, and of those of the same series and time the largest counts.
-- The growth lies between `since` and `time`, and counts at `time`.
-- Ask for a period and for metrics: telemetry_metric_increments_of(from = …, to = …, metrics = ['commit.count', …]), where
-- [] means all. Days before the period are read as far back as the cumulative series in it began, and none for deltas.
-- Maps are large: PREWHERE leaves them unread for points that are not asked for, and grouping takes out of the others what
-- is needed. It is the same for all points of a series.
CREATE VIEW IF NOT EXISTS telemetry_metric_increments_of ON CLUSTER '{cluster}' AS
WITH
    cumulative_since AS (
        SELECT min(StartTimeUnix) AS earliest
        FROM otel_metrics_sum
        PREWHERE MetricName LIKE 'claude\\_code.%' AND AggregationTemporality = 2
            AND (empty({metrics:Array(String)}) OR substring(MetricName, 13) IN {metrics:Array(String)})
            AND TimeUnix >= {from:DateTime('UTC')} AND TimeUnix < {to:DateTime('UTC')}
        HAVING count() > 0
    ),
    points AS (
        WITH ResourceAttributes AS r, Attributes AS a
        SELECT
            TimeUnix,
            any(StartTimeUnix) AS start,
            any(AggregationTemporality = 2) AS is_cumulative,
            cityHash64(MetricName, ServiceName, StartTimeUnix, r, a, AggregationTemporality = 2) AS series,
            max(Value) AS value,
            any(substring(MetricName, 13)) AS metric,
            any(a['type']) AS type,
            any(a['session.id']) AS session_id,
            any(multiIf(
                a['user.email'] != '', a['user.email'], a['enduser.id'] != '', a['enduser.id'],
                a['user.id'] != '', a['user.id'], a['user.account_uuid'])) AS user_id,
            any(multiIf(
                r['team.id'] != '', r['team.id'], r['team'] != '', r['team'],
                a['team.id'] != '', a['team.id'], a['team'])) AS team,
            any(if(r['department'] != '', r['department'], a['department'])) AS department,
            any(multiIf(
                r['project'] != '', r['project'], r['project.name'] != '', r['project.name'],
                a['project'] != '', a['project'], a['vcs.repository.name'])) AS project,
            any(a['model']) AS model,
            any(a['query_source']) AS query_source,
            any(a['tool_name']) AS tool_name,
            any(a['decision']) AS decision,
            any(a['source']) AS decision_source,
            any(a['language']) AS language,
            any(a['start_type']) AS start_type
        FROM otel_metrics_sum
        PREWHERE MetricName LIKE 'claude\\_code.%'
            AND (empty({metrics:Array(String)}) OR substring(MetricName, 13) IN {metrics:Array(String)})
            AND TimeUnix >= least({from:DateTime('UTC')}, coalesce((SELECT earliest FROM cumulative_since), {from:DateTime('UTC')}))
            AND TimeUnix < {to:DateTime('UTC')}
            AND (TimeUnix >= {from:DateTime('UTC')} OR AggregationTemporality = 2)
        WHERE Value >= 0 AND isFinite(Value) AND bitAnd(Flags, 1) = 0
        GROUP BY series, TimeUnix
    )
SELECT
    TimeUnix AS time, metric, type, session_id, user_id, team, department, project, model, query_source, tool_name,
    decision, decision_source, language, start_type,
    if(is_cumulative AND value >= previous, value - previous, value) AS increment,
    if(is_cumulative, before, start) AS since
FROM (
    SELECT *, lagInFrame(value, 1, 0.) OVER earlier AS previous, lagInFrame(TimeUnix, 1, start) OVER earlier AS before
    FROM points
    WINDOW earlier AS (PARTITION BY series ORDER BY TimeUnix ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WHERE TimeUnix >= {from:DateTime('UTC')};

-- By how much each of Claude Code's counters grew in a period: telemetry_metric_increments(from = …, to = …). The same view
-- for some metrics alone says more, and reads less.
CREATE OR REPLACE VIEW telemetry_metric_increments ON CLUSTER '{cluster}' AS
SELECT *
FROM telemetry_metric_increments_of(from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, metrics = []);

-- Sixteen parts are merged at once, not eight: a row is merged less often, and fewer parts are left. A merge takes 73 MiB
-- of memory then, not 46.
ALTER TABLE otel_traces_local ON CLUSTER '{cluster}' MODIFY SETTING merge_selector_base = 16, max_parts_to_merge_at_once = 16;

-- As 0087.
ALTER TABLE otel_logs_local ON CLUSTER '{cluster}' MODIFY SETTING merge_selector_base = 16, max_parts_to_merge_at_once = 16;

-- As 0087. And the events of a batch are one file, where they were one for each of 150 streams, each synced: inserting
-- them took four times as long. Merged parts have a file a column, for the questions.
ALTER TABLE telemetry_events_local ON CLUSTER '{cluster}' MODIFY SETTING
    merge_selector_base = 16, max_parts_to_merge_at_once = 16, min_bytes_for_wide_part = 16777216;

-- As 0087. And each of a part's files has smaller buffers: to write all of them took 125 MiB in a merge.
ALTER TABLE telemetry_spans_local ON CLUSTER '{cluster}' MODIFY SETTING
    merge_selector_base = 16, max_parts_to_merge_at_once = 16, max_compress_block_size = 131072, merge_max_block_size = 2048;
