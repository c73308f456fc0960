-- When a record was stored, to tell clocks that are wrong, and the machine that it is from.
ALTER TABLE telemetry_events
    ADD COLUMN IF NOT EXISTS arrived DateTime64(3, 'UTC')
        COMMENT 'when it was stored, by the server''s clock; 1970 for what was stored before this column was there'
        CODEC(Delta, ZSTD(1)) AFTER timestamp,
    ADD COLUMN IF NOT EXISTS host_name LowCardinality(String)
        COMMENT 'the machine, where OTEL_RESOURCE_ATTRIBUTES says so' CODEC(ZSTD(1)) AFTER terminal_type
