-- The time of the newest event. Parts know theirs, so that no row is read.
SELECT max(timestamp) AS newest, count() AS events
FROM telemetry_events
