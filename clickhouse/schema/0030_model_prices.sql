-- What models cost, in US dollars for a million tokens. Filled at each start from prices.yaml, or from TELEMETRY_PRICES.
CREATE TABLE IF NOT EXISTS model_prices
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
ENGINE = MergeTree
ORDER BY (pattern, speed, prompt_over, valid_from)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
