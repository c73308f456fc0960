-- Its rows are made by clickhouse/typed/telemetry_events.sql, whose plan is kept, and inserted beside the raw ones.
DROP VIEW IF EXISTS telemetry_events_mv
