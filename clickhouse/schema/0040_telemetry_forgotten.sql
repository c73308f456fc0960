-- What was deleted on demand, and when: the record that it was done, which names nobody. Has no TTL.
CREATE TABLE IF NOT EXISTS telemetry_forgotten
(
    done_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    kind LowCardinality(String) COMMENT 'user or session',
    subject String COMMENT 'the hash of who or what was named',
    rows Map(LowCardinality(String), UInt64) COMMENT 'rows deleted, by table'
)
ENGINE = MergeTree
ORDER BY done_at
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
