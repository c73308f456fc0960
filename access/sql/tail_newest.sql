-- The number of the newest insert. Merges keep it.
SELECT max(max_block_number) AS block, any(engine) AS engine
FROM system.tables AS tables
LEFT JOIN (
    SELECT database, table, max_block_number
    FROM system.parts
    WHERE database = currentDatabase() AND table = 'telemetry_events' AND active
) AS parts ON parts.database = tables.database AND parts.table = tables.name
WHERE tables.database = currentDatabase() AND tables.name = 'telemetry_events'
