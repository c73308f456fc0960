-- Which table the events are in. A table that was made again has another identity.
SELECT engine, toString(uuid) AS identity
FROM system.tables
WHERE database = currentDatabase() AND name = 'telemetry_events'
