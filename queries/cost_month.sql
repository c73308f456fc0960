/*
question: What will this month cost?
topic: cost
needs: [events]
note: >
  Seven days, so that a weekend counts as one. What is older than the retention is not in it.
parameters:
  to: {default: now, meaning: a time in the month}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  month: its first day
  usd: spent so far
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  days: days of it that have passed, with a fraction
  usd_per_day: spent a day, on average over the last seven days
  projected: what the month comes to if it goes on like that
  last_month: what the month before cost
  change_percent: how much more or less than that
example: {month: '2026-11-01', usd: 912.4, recomputed_usd: 0, unpriced: 0, days: 21.7, usd_per_day: 44.1, projected: 1278.4, last_month: 1100.2, change_percent: 16.2}
*/
WITH
    toDateTime(toStartOfMonth({to:DateTime('UTC')}), 'UTC') AS begins,
    addMonths(begins, 1) AS ends,
    dateDiff('second', begins, {to:DateTime('UTC')}) / 86400 AS passed
SELECT
    toDate(begins) AS month,
    round(sumIf(cost_nanos, hour >= begins) / 1e9, 2) AS usd,
    round(sumIf(recomputed_nanos, hour >= begins) / 1e9, 2) AS recomputed_usd,
    sumIf(telemetry_hourly.unpriced, hour >= begins) AS unpriced,
    round(passed, 1) AS days,
    round(sumIf(cost_nanos, hour >= {to:DateTime('UTC')} - toIntervalDay(7)) / 7e9, 2) AS usd_per_day,
    round(usd + usd_per_day * (dateDiff('day', begins, ends) - passed), 2) AS projected,
    round(sumIf(cost_nanos, hour < begins) / 1e9, 2) AS last_month,
    if(last_month = 0, NULL, round(100 * (projected - last_month) / last_month, 1)) AS change_percent
FROM telemetry_hourly
WHERE event_type = 'api_request' AND hour >= addMonths(begins, -1) AND hour < {to:DateTime('UTC')}
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
