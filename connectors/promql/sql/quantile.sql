-- The quantile of each histogram, from how many values are up to each edge; counts never fall from one edge to the next.
SELECT
    labels, t,
    length(edges) AS buckets,
    arrayMap(place -> arrayMax(arraySlice(counts, 1, place)), arrayEnumerate(counts)) AS totals,
    /* quantile */ * totals[buckets] AS rank,
    arrayFirstIndex(total -> total >= rank, arraySlice(totals, 1, buckets - 1)) AS found,
    if(found = 0, buckets, found) AS bucket,
    if(bucket > 1, edges[bucket - 1], 0.) AS low,
    if(bucket > 1, totals[bucket - 1], 0.) AS before,
    multiIf(
        isNaN(/* quantile */), nan,
        /* quantile */ < 0, -inf,
        /* quantile */ > 1, inf,
        edges[buckets] != inf OR buckets < 2 OR totals[buckets] = 0 OR isNaN(totals[buckets]), nan,
        bucket = buckets, edges[buckets - 1],
        bucket = 1 AND edges[1] <= 0, edges[1],
        low + (edges[bucket] - low) * ((rank - before) / (totals[bucket] - before))) AS v
FROM
(
    SELECT
        labels, t,
        arraySort(groupArray((edge, count))) AS sorted,
        sorted.1 AS edges,
        sorted.2 AS counts
    FROM
    (
        SELECT mapFilter((key, value) -> key NOT IN ('__name__', 'le'), l) AS labels, t,
            toFloat64OrNull(l['le']) AS edge, sum(x) AS count
        FROM
        (
/* buckets */
        )
        WHERE edge IS NOT NULL
        GROUP BY labels, t, edge
    )
    GROUP BY labels, t
)
