-- Each sample once for each step in whose range it is, with the sample before it. Rows are grouped by `series`, a
-- number made of the labels, which are dear to group so many rows by.
SELECT
    series, labels, ts, x, before_x, before_ts >= t - /* offset */ - /* range */ AS is_inner,
    {start:Int64} + {step:Int64} * arrayJoin(range(first, greatest(first, last + 1))) AS t
FROM
(
    SELECT
        series, labels, ts, x, before_ts, before_x,
        toUInt64(greatest(0, ceil((ts + /* offset */ - {start:Int64}) / {step:Int64}))) AS first,
        toInt64(least(
            toFloat64({steps:Int64} - 1),
            floor((ts + /* offset */ + /* range */ - {start:Int64}) / {step:Int64}))) AS last
    FROM
    (
        SELECT sipHash128(labels) AS series, labels, arrayFilter(sample -> NOT sample.2, samples) AS fresh
        FROM
        (
/* selected */
        )
        WHERE notEmpty(fresh)
    )
    ARRAY JOIN
        fresh.1 AS ts, fresh.3 AS x,
        arrayPushFront(arrayPopBack(fresh.1), toInt64(-9000000000000000)) AS before_ts,
        arrayPushFront(arrayPopBack(fresh.3), nan) AS before_x
)
