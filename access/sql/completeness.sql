-- The share of events whose values were all there and possible.
SELECT countIf(empty(quality)) / nullIf(count(), 0) AS completeness
FROM telemetry_events
WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
