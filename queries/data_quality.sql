/*
question: Which events have values that are missing or cannot be true?
topic: data
needs: [events]
note: >
  A value that cannot be true is in no total: its column is NULL, and what was sent stands in `attributes`. Records that were older than the
  retention when they came are not here: telemetry_odd_records_total on the metrics port counts them.
empty: 'every value that was sent in this period could be true'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: '2106-01-01 00:00:00', meaning: 'end of the period, by default after clocks that are wrong'}
columns:
  fault: 'what is wrong: empty, unreadable, negative, excessive or fractional, and the attribute; no_…: it is missing; time_…: a clock is wrong'
  event: the kind of event
  events: how many
  percent: their share of events of that kind
  sessions: sessions with one
  version: the latest client's version
  service: its service
  sample: what was sent
  last_seen: the time of the last, UTC
  before: 'how many in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
wide: [before, change_percent]
example: {fault: negative_duration_ms, event: tool_result, events: 3, percent: 0.01, sessions: 1, version: 2.1.190, service: claude-code, sample: '-5', last_seen: '2026-11-22 17:02:11', before: 5, change_percent: -40}
*/
WITH
    toStartOfHour({from:DateTime('UTC')}) AS begins,
    toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599)) AS ends,
    toDateTime(greatest(0, 2 * toUnixTimestamp(begins) - toUnixTimestamp(ends)), 'UTC') AS begins_before,
    -- Whether anything was recorded in the period before: else nothing is known of it, which is not 0.
    (
        SELECT count() > 0
        FROM telemetry_hourly
        WHERE hour >= begins_before AND hour < begins
    ) AS was_recorded,
    counted AS (
        SELECT event_type, sum(telemetry_hourly.events) AS events
        FROM telemetry_hourly
        WHERE hour >= begins AND hour < ends
        GROUP BY event_type
    ),
    earlier AS (
        SELECT arrayJoin(quality) AS fault, event_type, count() AS number
        FROM telemetry_events
        WHERE timestamp >= begins_before AND timestamp < begins AND notEmpty(quality)
        GROUP BY fault, event_type
    ),
    found AS (
        SELECT
            arrayJoin(quality) AS fault,
            event_type,
            count() AS events,
            uniqExact(cityHash64(session_id)) AS sessions,
            argMax(service_version, timestamp) AS version,
            argMax(service_name, timestamp) AS service,
            argMax(left(attributes[replaceOne(substring(fault, position(fault, '_') + 1), 'event_sequence', 'event.sequence')], 100), timestamp) AS sample,
            toDateTime64(max(timestamp), 0, 'UTC') AS last_seen
        FROM telemetry_events
        WHERE timestamp >= begins AND least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')) < ends AND notEmpty(quality)
        GROUP BY fault, event_type
    )
SELECT
    fault,
    event_type AS event,
    found.events AS events,
    round(100 * found.events / counted.events, 2) AS percent,
    sessions,
    version,
    service,
    sample,
    last_seen,
    if(was_recorded, earlier.number, NULL) AS before,
    round(100 * (events - before) / nullIf(before, 0), 1) AS change_percent
FROM found
LEFT JOIN counted USING (event_type)
LEFT JOIN earlier USING (fault, event_type)
ORDER BY events DESC, fault, event
