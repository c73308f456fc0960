-- What happened in each session, a row a day. Add the days up by session_id; the totals of a period are those of
-- telemetry_events.
CREATE TABLE IF NOT EXISTS telemetry_sessions
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
ENGINE = AggregatingMergeTree
PARTITION BY toDate(day)
ORDER BY session_id
TTL toDate(day) + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1
