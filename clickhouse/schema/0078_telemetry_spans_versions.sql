-- The client's version and the project, as events have them; spans that were stored before have neither.
ALTER TABLE telemetry_spans
    ADD COLUMN IF NOT EXISTS service_version LowCardinality(String) CODEC(ZSTD(1)) AFTER service_name,
    ADD COLUMN IF NOT EXISTS project LowCardinality(String) CODEC(ZSTD(1)) AFTER team
