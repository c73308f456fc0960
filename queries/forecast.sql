/*
question: What will this month cost, within what range, and when is a budget reached?
topic: cost
needs: [events]
note: >
  Each day that is left is expected to cost what weekdays, or weekends, cost on average in the 28 days before today, or since
  the first of them with a request. The range has four months of five, where days differ as they did and nothing else changes.
  With less than a week of days there is no forecast.
parameters:
  by: {default: all, meaning: 'all, team, user, model or project'}
  to: {default: now, meaning: a time in the month}
  budget: {default: '0', meaning: 'dollars a month, for each value; 0: none'}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
  limit: {default: 100, meaning: 'how many, the dearest first'}
columns:
  value: 'what it is grouped by; empty: not said'
  usd: spent in the month so far; empty when that is not known
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  projected: what the month is expected to come to; empty with too little history
  low: the lower end of the range
  high: the upper end of the range
  last_month: what the month before cost, as far as it is kept
  usd_per_weekday: spent on a weekday, on average
  usd_per_weekend_day: spent on a Saturday or Sunday, on average
  history_days: days before today that this is known by, 28 at most; a forecast needs 7
  budget_percent: the share of the budget that the month is expected to take
  budget_reached: 'the day on which the budget is used up, or will be; empty: not in this month'
wide: [usd_per_weekend_day, usd_per_weekday, recomputed_usd]
example: {value: all, usd: 912.4, recomputed_usd: 0, unpriced: 0, projected: 1278.4, low: 1190.1, high: 1366.7, last_month: 1100.2, usd_per_weekday: 52.1, usd_per_weekend_day: 8.4, history_days: 28, budget_percent: 106.5, budget_reached: '2026-11-28'}
*/
WITH
    toDate({to:DateTime('UTC')}, 'UTC') AS today,
    toStartOfMonth(today) AS begins,
    arrayMap(n -> begins + n, range(toUInt32(dateDiff('day', begins, addMonths(begins, 1))))) AS month,
    arrayFilter(day -> day > today, month) AS rest,
    days AS (
        SELECT
            multiIf(
                {by:String} = 'all', 'all',
                {by:String} = 'team', team,
                {by:String} = 'user', user_id,
                {by:String} = 'model', telemetry_hourly.model,
                {by:String} = 'project', telemetry_hourly.project,
                toString(throwIf(true, 'by is one of all, team, user, model, project'))) AS value,
            toDate(hour, 'UTC') AS day,
            sum(cost_nanos) / 1e9 AS spent,
            sum(recomputed_nanos) / 1e9 AS recomputed,
            sum(telemetry_hourly.unpriced) AS costless,
            sum(events) AS requests
        FROM telemetry_hourly
        WHERE event_type = 'api_request' AND hour >= toDateTime(least(addMonths(begins, -1), today - 28), 'UTC')
            AND hour < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
            AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
        GROUP BY value, day
    ),
    summed AS (
        SELECT
            value,
            sumIf(spent, day >= begins) AS so_far,
            sumIf(recomputed, day >= begins) AS recomputed_so_far,
            sumIf(costless, day >= begins) AS costless_so_far,
            sumIf(requests, day >= begins) AS requests_so_far,
            sumIf(spent, day < begins AND day >= addMonths(begins, -1)) AS before,
            sumIf(spent, day = today) AS spent_today,
            mapFromArrays(groupArray(day), groupArray(spent)) AS by_day,
            -- A day without requests between days with some cost nothing.
            toUInt32(greatest(0, dateDiff('day', greatest(min(day), today - 28), today))) AS known,
            arrayMap(n -> today - toIntervalDay(n + 1), range(known)) AS past,
            arrayMap(one -> by_day[one], arrayFilter(one -> toDayOfWeek(one) <= 5, past)) AS weekdays,
            arrayMap(one -> by_day[one], arrayFilter(one -> toDayOfWeek(one) > 5, past)) AS weekend_days,
            known >= 7 AND sum(costless) < sum(requests) AS is_known,
            if(is_known, arrayAvg(weekdays), 0) AS a_weekday,
            if(is_known, arrayAvg(weekend_days), 0) AS a_weekend_day,
            if(is_known, arrayReduce('varSamp', weekdays), 0) AS spread_of_weekdays,
            if(is_known, arrayReduce('varSamp', weekend_days), 0) AS spread_of_weekend_days,
            arrayCount(one -> toDayOfWeek(one) <= 5, rest) AS weekdays_left,
            arrayCount(one -> toDayOfWeek(one) > 5, rest) AS weekend_days_left,
            greatest(0, if(toDayOfWeek(today) <= 5, a_weekday, a_weekend_day) - spent_today) AS left_today,
            so_far + left_today + weekdays_left * a_weekday + weekend_days_left * a_weekend_day AS expected,
            -- The days that are left differ, and so may the average from the true one. 1.28 deviations have four of five.
            1.2816 * sqrt(
                spread_of_weekdays * (weekdays_left + pow(weekdays_left, 2) / greatest(1, length(weekdays)))
                + spread_of_weekend_days * (weekend_days_left + pow(weekend_days_left, 2) / greatest(1, length(weekend_days)))
                + if(left_today > 0, if(toDayOfWeek(today) <= 5, spread_of_weekdays, spread_of_weekend_days), 0)) AS margin,
            arrayFirstIndex(
                total -> total >= {budget:Float64},
                arrayCumSum(arrayMap(
                    one -> multiIf(
                        one < today, by_day[one],
                        one = today, spent_today + left_today,
                        toDayOfWeek(one) <= 5, a_weekday,
                        a_weekend_day),
                    month))) AS place
        FROM days
        GROUP BY value
    )
SELECT
    value,
    if(costless_so_far > 0 AND costless_so_far = requests_so_far, NULL, round(so_far, 2)) AS usd,
    round(recomputed_so_far, 2) AS recomputed_usd,
    costless_so_far AS unpriced,
    if(is_known, round(expected, 2), NULL) AS projected,
    if(is_known, round(greatest(so_far, expected - margin), 2), NULL) AS low,
    if(is_known, round(expected + margin, 2), NULL) AS high,
    round(before, 2) AS last_month,
    if(is_known, round(a_weekday, 2), NULL) AS usd_per_weekday,
    if(is_known, round(a_weekend_day, 2), NULL) AS usd_per_weekend_day,
    known AS history_days,
    if({budget:Float64} > 0 AND is_known, round(100 * expected / {budget:Float64}, 1), NULL) AS budget_percent,
    if({budget:Float64} > 0 AND place > 0, month[place], NULL) AS budget_reached
FROM summed
ORDER BY expected DESC, value
LIMIT {limit:UInt64}
