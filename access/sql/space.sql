-- What each table holds: rows, bytes on disk, its oldest day, and for how many days rows stay at least (TTLs count whole days).
SELECT
    name AS table,
    total_rows AS rows,
    round(total_bytes / 1e6, 1) AS mb,
    oldest AS oldest_day,
    if(days = 0, 'for good', concat(toString(days - 1), ' days')) AS stays
FROM (
    SELECT name, total_rows, total_bytes, toUInt32OrZero(extract(create_table_query, 'TTL .*toIntervalDay\\((\\d+)\\)')) AS days
    FROM system.tables
    WHERE database = currentDatabase() AND total_rows > 0
) AS held
LEFT JOIN (
    SELECT table, min(toDateOrNull(partition)) AS oldest
    FROM system.parts
    WHERE database = currentDatabase() AND active
    GROUP BY table
) AS kept ON held.name = kept.table
ORDER BY total_bytes DESC, name
