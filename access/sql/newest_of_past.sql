-- The time of the newest event since `from` that is not of a clock in the future.
SELECT max(timestamp) AS newest, count() AS events
FROM telemetry_events
WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp <= now64(9, 'UTC')
