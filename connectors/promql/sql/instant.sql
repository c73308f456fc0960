-- At each step the newest sample of a series, for as long as it counts, and not after the series went stale.
SELECT labels, {start:Int64} + {step:Int64} * arrayJoin(range(first, greatest(first, last + 1))) AS t, /* value */ AS v
FROM
(
    SELECT
        labels, ts, is_stale, x,
        toUInt64(greatest(0, ceil((ts + /* offset */ - {start:Int64}) / {step:Int64}))) AS first,
        toInt64(least(
            toFloat64({steps:Int64} - 1),
            floor((ts + /* offset */ + /* lookback */ - {start:Int64}) / {step:Int64}),
            floor((next_ts + /* offset */ - 1 - {start:Int64}) / {step:Int64}))) AS last
    FROM
    (
/* selected */
    )
    ARRAY JOIN
        samples.1 AS ts, samples.2 AS is_stale, samples.3 AS x,
        arrayPushBack(arrayPopFront(samples.1), toInt64(9000000000000000)) AS next_ts
)
WHERE NOT is_stale
