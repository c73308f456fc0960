-- What changes when rows arrive in the tables that are shown as they fill: the numbers of the newest inserts, added up. Merges keep them.
-- The views of one insert are filled one after another, so that each of their tables counts.
SELECT
    sum(newest) AS inserts,
    (SELECT any(engine) FROM system.tables WHERE database = currentDatabase() AND name = 'telemetry_events') AS engine
FROM (
    SELECT table, partition_id, max(max_block_number) AS newest
    FROM system.parts
    WHERE database = currentDatabase() AND active
        AND table IN ('telemetry_events', 'telemetry_hourly', 'telemetry_daily', 'telemetry_sessions')
    GROUP BY table, partition_id
)
