-- By how much each of Claude Code's counters grew in a period: telemetry_metric_increments(from = …, to = …). The same view
-- for some metrics alone says more, and reads less.
CREATE OR REPLACE VIEW telemetry_metric_increments AS
SELECT *
FROM telemetry_metric_increments_of(from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, metrics = [])
