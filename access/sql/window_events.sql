-- How many events a period has, and the one before; when the first of them happened, and whether there are older ones.
SELECT
    countIf(timestamp >= {begins:DateTime64(6, 'UTC')}) AS now,
    countIf(timestamp < {begins:DateTime64(6, 'UTC')}) AS before,
    min(timestamp) AS first,
    (SELECT count() FROM (SELECT 1 FROM telemetry_events WHERE timestamp < {from:DateTime64(6, 'UTC')} LIMIT 1)) AS older
FROM telemetry_events
WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
