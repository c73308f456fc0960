-- The deletions on demand: when, of what kind, the hash of who or what was named, and how many rows went.
SELECT toDateTime(done_at, 'UTC') AS done_at, kind, subject, arraySum(mapValues(rows)) AS rows
FROM telemetry_forgotten
ORDER BY done_at DESC
LIMIT 100
