-- The tables that hold rows, and whether they keep the resource's attributes.
SELECT
    tables.name AS name,
    countIf(columns.name = 'ResourceAttributes') AS marked
FROM system.tables AS tables
INNER JOIN system.columns AS columns ON columns.database = tables.database AND columns.table = tables.name
WHERE tables.database = currentDatabase() AND endsWith(tables.engine, 'MergeTree')
GROUP BY name
ORDER BY name
