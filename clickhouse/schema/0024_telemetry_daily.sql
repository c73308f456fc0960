-- The same by the day, for long periods.
CREATE TABLE IF NOT EXISTS telemetry_daily
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
ENGINE = AggregatingMergeTree
PARTITION BY toDate(day)
ORDER BY (
    event_type, day, model, tool_name, failure, user_id, team, department, cost_center, project, service_name, speed,
    query_source, workflow_step, agent_name, skill_name, mcp_server_name, mcp_tool_name, decision, decision_source)
TTL toDate(day) + toIntervalDay(90)
SETTINGS
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1
