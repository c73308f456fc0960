SELECT
    /* name */ AS name, edge, ResourceAttributes AS resource, Attributes AS attributes, false AS is_delta,
    toUnixTimestamp64Milli(toDateTime64(TimeUnix, 9)) AS ts, bitAnd(Flags, 1) = 1 AS is_stale, v
FROM {summary:Identifier}
ARRAY JOIN
    arrayMap(quantile -> toString(quantile), ValueAtQuantiles.Quantile) AS edge,
    ValueAtQuantiles.Value AS v
WHERE /* which */
