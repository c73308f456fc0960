-- When a record was stored, to tell clocks that are wrong: the view fills it. 1970 for what was stored before.
ALTER TABLE telemetry_events
    ADD COLUMN IF NOT EXISTS arrived DateTime64(3, 'UTC')
        COMMENT 'when it was stored, by the server''s clock; 1970 when that is not known' CODEC(Delta, ZSTD(1)) AFTER timestamp
