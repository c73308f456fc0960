-- What findings are made from: counts, and of durations, costs and shares the sums and the sums of squares, whose means and
-- spreads can be compared, by the hour, for each combination of user, team, project, client version and what was tried.
-- A row is an hour of one thing of one person, so there are never more rows than events. Durations and costs have long
-- tails: what is added up is their logarithm. Add all numbers up.
CREATE TABLE IF NOT EXISTS telemetry_measures
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
ENGINE = AggregatingMergeTree
PARTITION BY toDate(hour, 'UTC')
ORDER BY (event_type, hour, thing, part, mcp_server_name, user_id, team, project, service_name, service_version)
TTL toDate(hour, 'UTC') + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1
