-- A table's columns, in order.
SELECT name, type, comment
FROM system.columns
WHERE database = currentDatabase() AND table = {table:String}
ORDER BY position
