/*
question: Which kinds of events arrive?
topic: data
needs: [events]
note: >
  Counted by whole hours. Kinds that a newer client brings are kept too.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
columns:
  event: the kind of event
  events: how many
  percent: their share
  failures: those that are failures
  days: days with one
  last_seen: when the last was, UTC
example: {event: tool_result, events: 41200, percent: 22.1, failures: 911, days: 7, last_seen: '2026-11-22 17:02:11'}
*/
SELECT
    event_type AS event,
    sum(telemetry_hourly.events) AS events,
    round(100 * sum(telemetry_hourly.events) / sum(sum(telemetry_hourly.events)) OVER (), 1) AS percent,
    sum(telemetry_hourly.failures) AS failures,
    uniqExact(toDate(hour, 'UTC')) AS days,
    toDateTime(max(telemetry_hourly.last_seen), 'UTC') AS last_seen
FROM telemetry_hourly
WHERE hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
GROUP BY event
ORDER BY events DESC, event
