-- How much of the cost is recomputed from tokens and prices, and how many requests have none that is known.
ALTER TABLE telemetry_hourly
    ADD COLUMN IF NOT EXISTS recomputed_nanos SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER cost_nanos,
    ADD COLUMN IF NOT EXISTS unpriced SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) AFTER recomputed_nanos
