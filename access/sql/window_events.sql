-- Whether a period has events, and the one before; when the first of all happened, and whether there are older ones than
-- both periods. Parts know the first, and of the others one row each is read.
SELECT
    (
        SELECT count()
        FROM (
            SELECT 1
            FROM telemetry_events
            WHERE timestamp >= {begins:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
            LIMIT 1
        )
    ) AS now,
    (
        SELECT count()
        FROM (
            SELECT 1
            FROM telemetry_events
            WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {begins:DateTime64(6, 'UTC')}
            LIMIT 1
        )
    ) AS before,
    (SELECT min(timestamp) FROM telemetry_events) AS first,
    (SELECT count() FROM (SELECT 1 FROM telemetry_events WHERE timestamp < {from:DateTime64(6, 'UTC')} LIMIT 1)) AS older
