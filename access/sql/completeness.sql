-- The share of events whose values were all there and possible, and the time of the newest that is not of a clock in the
-- future.
SELECT
    countIf(empty(quality)) / nullIf(count(), 0) AS completeness,
    maxOrNullIf(timestamp, timestamp <= now64(9, 'UTC')) AS newest
FROM telemetry_events
WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
