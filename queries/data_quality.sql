/*
question: Which events have values that are missing or cannot be true, and whose clocks are wrong?
topic: data
needs: [events]
note: >
  A value that cannot be true is in no total: its column is NULL, and what was sent stands in `attributes`. Records that were older than the
  retention when they came are not here: telemetry_odd_records_total on the metrics port counts them.
empty: 'every value that was sent in this period could be true, and no clock was wrong by more than five minutes'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: '2106-01-01 00:00:00', meaning: 'end of the period, by default after clocks that are wrong'}
columns:
  fault: 'what is wrong: empty, unreadable, negative, excessive or fractional, and the attribute; no_…: it is missing; time_…: a clock is wrong by years or days; clock_ahead: later than its arrival; clock_behind: all of its session arrived late by as much'
  event: the kind of event
  events: how many
  percent: their share of events of that kind
  sessions: sessions with one
  usd: what the requests among them cost
  version: the latest client's version
  service: its service
  sample: 'what was sent; of clocks, by how much they are wrong'
  last_seen: the time of the last, UTC
example: {fault: negative_duration_ms, event: tool_result, events: 3, percent: 0.01, sessions: 1, usd: 0, version: 2.1.190, service: claude-code, sample: '-5', last_seen: '2026-11-22 17:02:11'}
*/
WITH counted AS (
    SELECT event_type, sum(telemetry_hourly.events) AS events
    FROM telemetry_hourly
    WHERE hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
    GROUP BY event_type
),
    found AS (
        SELECT
            *,
            toInt64(toUnixTimestamp(toDateTime(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC'))) AS time,
            if(arrived > toDateTime64(0, 3, 'UTC'), toInt64(toUnixTimestamp(arrived)) - time, 0) AS late
        FROM telemetry_events
        WHERE timestamp >= toStartOfHour({from:DateTime('UTC')}) AND least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')) < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
    ),
    -- What waited on its way arrives all at once; where a clock is behind, all of a session is late by as much.
    behind AS (
        SELECT session_id
        FROM found
        WHERE late > 300
        GROUP BY session_id
        HAVING count() >= 5 AND max(time) - min(time) >= 120 AND max(late) - min(late) <= 60 + (max(time) - min(time)) / 5
    ),
    faults AS (
        SELECT
            arrayJoin(quality) AS fault, event_type, session_id, service_version, service_name, timestamp,
            left(attributes[replaceOne(substring(fault, position(fault, '_') + 1), 'event_sequence', 'event.sequence')], 100) AS sample,
            if(event_type = 'api_request', ifNull(cost_nanos, 0), 0) AS nanos
        FROM found
        WHERE notEmpty(quality)
        UNION ALL
        SELECT
            if(late < 0, 'clock_ahead', 'clock_behind'), event_type, session_id, service_version, service_name, timestamp,
            concat(toString(round(abs(late) / 3600, 1)), ' hours'),
            if(event_type = 'api_request', ifNull(cost_nanos, 0), 0)
        FROM found
        WHERE (late < -300 AND NOT has(quality, 'time_too_late')) OR (late > 300 AND session_id IN (SELECT session_id FROM behind))
    )
SELECT
    fault,
    event_type AS event,
    count() AS events,
    round(100 * events / any(counted.events), 2) AS percent,
    uniqExact(cityHash64(session_id)) AS sessions,
    round(sum(nanos) / 1e9, 4) AS usd,
    argMax(service_version, timestamp) AS version,
    argMax(service_name, timestamp) AS service,
    argMax(faults.sample, timestamp) AS sample,
    toDateTime64(max(timestamp), 0, 'UTC') AS last_seen
FROM faults
LEFT JOIN counted USING (event_type)
GROUP BY fault, event
ORDER BY events DESC, fault, event
