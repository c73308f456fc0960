-- The metrics of MCP servers, `mcp.…`, a row a point. `value` is a histogram's sum, with its number of values in `count`;
-- of all others it is the value, and the count is 1. Sums and histograms grow from `started` on unless `is_delta`.
CREATE TABLE IF NOT EXISTS performance_metrics
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
ENGINE = MergeTree
PARTITION BY toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), 'UTC')
ORDER BY (service_name, metric_name, timestamp)
TTL toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 3, 'UTC')), 'UTC') + toIntervalDay(30)
SETTINGS
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1
