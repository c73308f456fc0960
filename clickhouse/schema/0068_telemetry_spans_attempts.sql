-- How often a request was tried, also one that was answered in the end, and why the model stopped.
ALTER TABLE telemetry_spans
    ADD COLUMN IF NOT EXISTS attempt Nullable(UInt64) COMMENT 'tries of a model request' CODEC(T64, LZ4),
    ADD COLUMN IF NOT EXISTS stop_reason LowCardinality(String) COMMENT 'tool_use, end_turn, …' CODEC(ZSTD(1))
