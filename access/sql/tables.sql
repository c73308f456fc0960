-- The tables that people ask.
SELECT name, total_rows AS records
FROM system.tables
WHERE database = currentDatabase() AND engine NOT IN ('MaterializedView') AND name != 'schema_migrations'
ORDER BY name
