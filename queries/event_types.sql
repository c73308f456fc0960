/*
question: Which kinds of events arrive?
topic: data
needs: [events]
note: >
  Kinds that a newer client brings are kept too.
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
  before: 'how many in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent]
example: {event: tool_result, events: 41200, percent: 22.1, failures: 911, days: 7, last_seen: '2026-11-22 17:02:11', before: 39800, change_percent: 3.5}
*/
WITH
    toStartOfHour({from:DateTime('UTC')}) AS begins,
    toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599)) AS ends,
    toDateTime(greatest(0, 2 * toUnixTimestamp(begins) - toUnixTimestamp(ends)), 'UTC') AS begins_before,
    -- Whether anything was recorded in the period before: else nothing is known of it, which is not 0.
    (
        SELECT count() > 0
        FROM (
            SELECT 1
            FROM telemetry_hourly
            WHERE hour >= begins_before AND hour < begins
            LIMIT 1
        )
    ) AS was_recorded,
    earlier AS (
        SELECT event_type, sum(telemetry_hourly.events) AS number
        FROM telemetry_hourly
        WHERE hour >= begins_before AND hour < begins
        GROUP BY event_type
    )
SELECT
    event_type AS event,
    sum(telemetry_hourly.events) AS events,
    round(100 * sum(telemetry_hourly.events) / sum(sum(telemetry_hourly.events)) OVER (), 1) AS percent,
    sum(telemetry_hourly.failures) AS failures,
    uniqExact(toDate(hour, 'UTC')) AS days,
    toDateTime(max(telemetry_hourly.last_seen), 'UTC') AS last_seen,
    if(was_recorded, any(earlier.number), NULL) AS before,
    round(100 * (events - before) / nullIf(before, 0), 1) AS change_percent
FROM telemetry_hourly
LEFT JOIN earlier USING (event_type)
WHERE hour >= begins AND hour < ends
GROUP BY event
ORDER BY events DESC, event
