SELECT
    /* name */ AS name, '' AS edge, ResourceAttributes AS resource, Attributes AS attributes,
    AggregationTemporality = 1 AS is_delta,
    toUnixTimestamp64Milli(toDateTime64(TimeUnix, 9)) AS ts, bitAnd(Flags, 1) = 1 AS is_stale, toFloat64(Count) AS v
FROM {exp_histogram:Identifier}
WHERE /* which */
