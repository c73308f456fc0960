/*
question: When did nothing arrive?
topic: data
needs: [events]
empty: 'something arrived in every such stretch of this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  hours: {default: 2, meaning: 'the shortest gap, in whole hours'}
columns:
  begins: the first hour without an event, UTC; not before the first event of all
  ends: the first hour with one again, or the end of the period
  hours: how long that is
  weekday: of its beginning
  usual_events: events in these hours a week before and a week after; many mean that something was wrong
example: {begins: '2026-11-21 18:00:00', ends: '2026-11-22 07:00:00', hours: 13, weekday: Saturday, usual_events: 0}
*/
WITH
    arrived AS (
        SELECT hour, sum(events) AS events
        FROM telemetry_hourly
        WHERE hour >= {from:DateTime('UTC')} - toIntervalDay(7) AND hour < {to:DateTime('UTC')} + toIntervalDay(7)
        GROUP BY hour
    ),
    edges AS (
        SELECT hour FROM arrived WHERE hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
        -- Before the first event of all nothing could arrive: that is no gap.
        UNION ALL SELECT greatest(
            toStartOfHour({from:DateTime('UTC')}), (SELECT minIf(hour, hour >= '2020-01-01') FROM telemetry_hourly)) - toIntervalHour(1)
        UNION ALL SELECT toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
    ),
    gaps AS (
        SELECT hour + toIntervalHour(1) AS begins, next AS ends, dateDiff('hour', begins, ends) AS hours
        FROM (SELECT hour, leadInFrame(hour) OVER (ORDER BY hour ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next FROM edges)
        WHERE next > hour AND hours >= {hours:Int64}
    )
SELECT
    begins,
    ends,
    hours,
    dateName('weekday', begins) AS weekday,
    sum(events * (
        (arrived.hour >= begins - toIntervalDay(7) AND arrived.hour < ends - toIntervalDay(7))
        OR (arrived.hour >= begins + toIntervalDay(7) AND arrived.hour < ends + toIntervalDay(7)))) AS usual_events
FROM gaps
CROSS JOIN arrived
GROUP BY begins, ends, hours
ORDER BY usual_events DESC, hours DESC, begins
