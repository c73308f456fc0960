SELECT count() AS records
FROM telemetry_events
WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
