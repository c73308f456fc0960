-- Prometheus' buckets count all values up to their edge; the last has no edge.
SELECT
    /* name */ AS name, edge, ResourceAttributes AS resource, Attributes AS attributes,
    AggregationTemporality = 1 AS is_delta,
    toUnixTimestamp64Milli(toDateTime64(TimeUnix, 9)) AS ts, bitAnd(Flags, 1) = 1 AS is_stale, v
FROM {histogram:Identifier}
ARRAY JOIN
    arrayPushBack(arrayMap(bound -> toString(bound), ExplicitBounds), '+Inf') AS edge,
    arrayPushBack(
        arrayMap(total -> toFloat64(total), arrayResize(arrayCumSum(BucketCounts), length(ExplicitBounds))),
        toFloat64(Count)) AS v
WHERE /* which */
