-- The samples of each series in the order of time, as (milliseconds, is stale, value); one at a time that was stored twice.
-- What was sent as deltas is added up. Labels are Prometheus' names of the attributes of the point and of its resource.
SELECT
    mapSort(mapFilter((key, value) -> value != '', mapUpdate(
        mapUpdate(
            CAST(mapApply((key, value) -> (/* label */, value), resource), 'Map(String, String)'),
            CAST(mapApply((key, value) -> (/* label */, value), attributes), 'Map(String, String)')),
        mapFilter((key, value) -> value != '', map(
            '__name__', toString(name),
            '/* edge */', edge,
            'job', concat(
                resource['service.namespace'], if(resource['service.namespace'] != '', '/', ''), resource['service.name']),
            'instance', resource['service.instance.id']))))) AS labels,
    arraySort(groupArray((ts, is_stale, v))) AS sorted,
    arrayFilter(
        (sample, before) -> sample.1 != before, sorted, arrayPushFront(arrayPopBack(sorted.1), toInt64(-1))) AS once,
    arrayMap(
        (sample, total) -> (sample.1, sample.2, if(is_delta, total, sample.3)),
        once,
        arrayCumSum(arrayMap(sample -> if(sample.2, 0., sample.3), once))) AS samples
FROM
(
/* rows */
)
GROUP BY name, edge, resource, attributes, is_delta
