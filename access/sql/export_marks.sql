-- What is stored, by partition: the last insert, how many events, and a checksum that does not depend on their order;
-- and the same of what an earlier export had.
WITH transform(_partition_id, splitByChar(',', {partitions:String}), {lasts:Array(UInt64)}, toUInt64(0)) AS before,
    cityHash64(timestamp, event_type, session_id, sequence) AS hash
SELECT
    _partition_id AS partition,
    max(_block_number) AS last,
    count() AS records,
    sum(hash) AS checksum,
    countIf(_block_number <= before) AS earlier_records,
    sumIf(hash, _block_number <= before) AS earlier_checksum
FROM telemetry_events
WHERE timestamp >= {from:DateTime64(6, 'UTC')} AND timestamp < {to:DateTime64(6, 'UTC')}
GROUP BY partition
ORDER BY partition
