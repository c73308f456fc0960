/*
question: Do the metrics of the clients say the same as their events?
topic: data
needs: [events, metrics]
note: >
  A client exports its metrics once a minute and its events every few seconds, so the newest minutes differ, and so do sessions that end
  before their metrics are sent. Clients that send only one of the two differ for good. Deltas and cumulative values are both understood.
  The events' dollars are those that clients reported, without what was recomputed.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
columns:
  measure: what is compared
  events: the total of the events
  metrics: the total of the metrics
  difference: metrics less events
  percent: how much that is of the events
example: {measure: usd, events: 64.2, metrics: 64.2, difference: 0, percent: 0}
*/
SELECT
    measure,
    sumIf(amount, source = 'events') AS events,
    round(sumIf(amount, source = 'metrics'), 6) AS metrics, -- fractions of a dollar, whose sums end in noise
    round(metrics - events, 6) + 0 AS difference, -- no -0
    round(100 * difference / nullIf(events, 0), 2) AS percent
FROM (
    SELECT 'events' AS source, one.1 AS measure, toFloat64(one.2) AS amount
    FROM (
        SELECT arrayJoin([
            ('usd', toFloat64(sum(cost_nanos) - sum(recomputed_nanos)) / 1e9),
            ('input tokens', toFloat64(sum(input_tokens))),
            ('output tokens', toFloat64(sum(output_tokens))),
            ('cache read tokens', toFloat64(sum(cache_read_tokens))),
            ('cache creation tokens', toFloat64(sum(cache_creation_tokens)))]) AS one
        FROM telemetry_hourly
        WHERE event_type = 'api_request' AND hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
    )
    UNION ALL
    SELECT
        'metrics',
        multiIf(
            metric = 'cost.usage', 'usd',
            type = 'cacheRead', 'cache read tokens',
            type = 'cacheCreation', 'cache creation tokens',
            concat(type, ' tokens')),
        increment
    FROM telemetry_metric_increments_of(
        from = toStartOfHour({from:DateTime('UTC')}), to = toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599)),
        metrics = ['cost.usage', 'token.usage'])
)
GROUP BY measure
ORDER BY measure
