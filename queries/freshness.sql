/*
question: What arrives, and when did it last?
topic: data
needs: []
note: >
  The test records of telemetry setup and doctor are left out, and so is demo data as soon as there is other.
parameters: {}
columns:
  signal: the kind of telemetry
  newest: the newest record's time, UTC; never when there is none
  seconds_ago: how long ago that is; empty when there is none
  last_hour: records of the last hour
  last_day: records of the last 24 hours
example: {signal: logs, newest: '2026-11-22 17:02:11', seconds_ago: 14, last_hour: 820, last_day: 9120}
*/
WITH
    ['demo-kraken', 'demo-griffin', 'demo-phoenix', 'demo-yeti', 'demo-golem'] AS invented,
    (SELECT count() FROM (SELECT 1 FROM telemetry_daily WHERE has(invented, team) LIMIT 1)) = 0
        OR (SELECT count() FROM (SELECT 1 FROM telemetry_daily WHERE NOT has(invented, team) LIMIT 1)) = 0
        OR {records:String} = 'all' AS takes_all
SELECT
    arrayJoin(['logs', 'metrics', 'spans']) AS signal,
    if(found[signal].1 = 0, 'never', toString(toDateTime(found[signal].1, 'UTC'))) AS newest,
    if(found[signal].1 = 0, NULL, toInt64(toUnixTimestamp(now('UTC'))) - found[signal].1) AS seconds_ago,
    found[signal].2 AS last_hour,
    found[signal].3 AS last_day
FROM (
    SELECT mapFromArrays(groupArray(kind), groupArray((newest, hour, records))) AS found
    FROM (
        SELECT
            kind,
            toInt64(toUnixTimestamp(max(time))) AS newest,
            countIf(time > now('UTC') - toIntervalHour(1)) AS hour,
            countIf(time > now('UTC') - toIntervalDay(1)) AS records
        FROM (
            -- Clocks in the future are left out. Days before the last are read only if nothing arrived in it.
            SELECT 'logs' AS kind, Timestamp AS time
            FROM otel_logs
            WHERE Timestamp <= now('UTC') AND ServiceName != 'telemetry-check' AND (takes_all OR ResourceAttributes['telemetry.demo'] != 'true')
                AND Timestamp > (
                    SELECT if(count() > 0, now('UTC') - toIntervalDay(1), toDateTime(0, 'UTC'))
                    FROM (
                        SELECT 1 FROM otel_logs
                        WHERE Timestamp > now('UTC') - toIntervalDay(1) AND Timestamp <= now('UTC') AND ServiceName != 'telemetry-check' AND (takes_all OR ResourceAttributes['telemetry.demo'] != 'true')
                        LIMIT 1
                    )
                )
            UNION ALL
            SELECT 'spans', Timestamp
            FROM otel_traces
            WHERE Timestamp <= now('UTC') AND ServiceName != 'telemetry-check' AND (takes_all OR ResourceAttributes['telemetry.demo'] != 'true')
                AND Timestamp > (
                    SELECT if(count() > 0, now('UTC') - toIntervalDay(1), toDateTime(0, 'UTC'))
                    FROM (
                        SELECT 1 FROM otel_traces
                        WHERE Timestamp > now('UTC') - toIntervalDay(1) AND Timestamp <= now('UTC') AND ServiceName != 'telemetry-check' AND (takes_all OR ResourceAttributes['telemetry.demo'] != 'true')
                        LIMIT 1
                    )
                )
            UNION ALL
            SELECT 'metrics', TimeUnix
            FROM otel_metrics_sum
            WHERE TimeUnix <= now('UTC') AND ServiceName != 'telemetry-check' AND (takes_all OR ResourceAttributes['telemetry.demo'] != 'true')
                AND TimeUnix > (
                    SELECT if(count() > 0, now('UTC') - toIntervalDay(1), toDateTime(0, 'UTC'))
                    FROM (
                        SELECT 1 FROM otel_metrics_sum
                        WHERE TimeUnix > now('UTC') - toIntervalDay(1) AND TimeUnix <= now('UTC') AND ServiceName != 'telemetry-check' AND (takes_all OR ResourceAttributes['telemetry.demo'] != 'true')
                        LIMIT 1
                    )
                )
        )
        GROUP BY kind
    )
)
ORDER BY signal
