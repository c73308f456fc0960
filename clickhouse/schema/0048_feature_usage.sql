-- Uses of tools, prompts and resources of MCP servers, a row a day and feature. Add the rows up:
-- sum(usage_count), uniqMerge(unique_users). Users are hashes, which the server made.
CREATE TABLE IF NOT EXISTS feature_usage
(
    date Date CODEC(Delta, ZSTD(1)),
    service_name LowCardinality(String) CODEC(ZSTD(1)),
    feature String CODEC(ZSTD(1)),
    usage_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    error_count SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
    unique_users AggregateFunction(uniq, Nullable(String)) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(date)
ORDER BY (service_name, feature)
TTL toDate(date) + toIntervalDay(30)
SETTINGS
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1
