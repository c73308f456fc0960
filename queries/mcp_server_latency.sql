/*
question: How long do your own MCP servers take to answer, and how many requests fail?
topic: speed
needs: []
note: >
  Servers that the SDK measures (docs/sdk.md). Counters that grow are followed from point to point, also over restarts;
  of one that began before the period and has no earlier point of the last hour, the first point does not count.
empty: 'no instrumented MCP server sent spans in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  server: {default: '', meaning: 'one server only, by its service name; empty: all'}
columns:
  server: the server's service name
  method: the protocol's method
  tool: the tool, of calls
  requests: requests that were answered
  failures: those that failed
  failure_percent: their share
  mean_ms: the mean time to answer
  slowest_ms: the mean of the slowest interval between two points, mostly ten seconds
  hours: the time of all together
example: {server: shop, method: tools/call, tool: search, requests: 5210, failures: 12, failure_percent: 0.2, mean_ms: 38.1, slowest_ms: 912.4, hours: 0.06}
*/
SELECT
    server, method, tool,
    sum(grown) AS requests,
    sumIf(grown, error NOT IN ('', 'cancelled')) AS failures,
    round(100 * failures / requests, 1) AS failure_percent,
    round(1000 * sum(seconds) / requests, 1) AS mean_ms,
    round(1000 * max(seconds / grown), 1) AS slowest_ms,
    round(sum(seconds) / 3600, 2) AS hours
FROM
(
    SELECT
        server, method, tool, error,
        multiIf(is_delta, counted, place > 1, greatest(0, counted - counted_before), started >= toStartOfHour({from:DateTime('UTC')}), counted, 0) AS grown,
        multiIf(is_delta, value, place > 1, greatest(0, value - value_before), started >= toStartOfHour({from:DateTime('UTC')}), value, 0) AS seconds
    FROM
    (
        SELECT
            service_name AS server,
            labels['mcp.method.name'] AS method,
            labels['gen_ai.tool.name'] AS tool,
            labels['error.type'] AS error,
            timestamp, started, is_delta, value, toInt64(count) AS counted,
            row_number() OVER points AS place,
            lagInFrame(toInt64(count)) OVER points AS counted_before,
            lagInFrame(value) OVER points AS value_before
        FROM performance_metrics
        WHERE metric_name = 'mcp.server.operation.duration'
            AND timestamp >= toStartOfHour({from:DateTime('UTC')}) - INTERVAL 1 HOUR AND timestamp < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
            AND ({server:String} = '' OR service_name = {server:String})
        WINDOW points AS (
            PARTITION BY service_name, service_instance, started, toString(mapSort(labels)) ORDER BY timestamp
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
    )
    WHERE timestamp >= toStartOfHour({from:DateTime('UTC')})
)
WHERE grown > 0
GROUP BY server, method, tool
ORDER BY requests DESC, server, method, tool
