-- What only Claude Code's spans know: the time to the first token, and how long people were waited for. Narrow, since
-- a span's map of attributes is twenty times as much to read; docs/analysis.md has the measurement.
CREATE TABLE IF NOT EXISTS telemetry_spans
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
ENGINE = MergeTree
PARTITION BY toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')
ORDER BY (span_type, toStartOfHour(timestamp), session_id, timestamp)
TTL toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    min_bytes_for_wide_part = 8388608,
    merge_selector_base = 8,
    max_parts_to_merge_at_once = 8
