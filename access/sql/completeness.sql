-- How many events of a period have a value that is missing or cannot be, and how many there are; the time of the newest
-- event of all, and whether there is one. What is wrong is looked at before times are, and hardly a row has it; the rest
-- is known from parts and their marks.
SELECT
    (
        SELECT count()
        FROM telemetry_events
        WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')} AND notEmpty(quality)
    ) AS flawed,
    (
        SELECT count()
        FROM telemetry_events
        WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
    ) AS events,
    (SELECT max(timestamp) FROM telemetry_events) AS newest,
    (SELECT count() FROM telemetry_events) AS stored
