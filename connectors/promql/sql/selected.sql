-- One row a series, whichever tables have its samples.
SELECT /* labels */ AS labels, arraySort(sample -> sample.1, groupArrayArray(own)) AS sorted,
    arrayFilter(
        (sample, before) -> sample.1 != before AND sample.1 >= /* first */,
        sorted,
        arrayPushFront(arrayPopBack(sorted.1), toInt64(-1))) AS samples
FROM
(
SELECT labels AS found, samples AS own
FROM
(
/* series */
)
WHERE /* matchers */
)
GROUP BY found
HAVING notEmpty(samples)
