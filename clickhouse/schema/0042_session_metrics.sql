-- Sessions of MCP servers that `mcp_server_telemetry` measures, a row each, written when the session ends. The id is a
-- hash, which the server made.
CREATE TABLE IF NOT EXISTS session_metrics
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
ENGINE = MergeTree
PARTITION BY toDate(least(start_time, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), 'UTC')
ORDER BY (service_name, start_time)
TTL toDate(least(start_time, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), 'UTC') + toIntervalDay(30)
SETTINGS
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1
