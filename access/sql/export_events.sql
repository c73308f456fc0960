-- Events as they are stored, in the order in which they are read: nothing has to be held to sort them.
SELECT /* columns */
FROM (
    SELECT *
    FROM telemetry_events
    WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} /* filters */
)
