/*
question: How many people use it, day by day or week by week?
topic: people
needs: [events]
note: >
  By whole days.
parameters:
  step: {default: day, meaning: 'day, week or month'}
  from: {default: 30 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
columns:
  begins: the first day of the step, UTC
  users: people with an event in it
  new_users: those seen for the first time since the retention began
  sessions: sessions with an event in it
  prompts: prompts that people wrote
  sessions_per_user: sessions for each of them
  usd: what the requests cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  usd_per_user: for each of them
example: {begins: '2026-11-16', users: 41, new_users: 3, sessions: 310, prompts: 2900, sessions_per_user: 7.6, usd: 412.1, recomputed_usd: 0, unpriced: 0, usd_per_user: 10.05}
*/
WITH
    firsts AS (
        SELECT user_id, min(day) AS first, max(team = {team:String}) AS is_mine
        FROM telemetry_sessions
        WHERE user_id != '' AND day <= toDate(now('UTC'))
        GROUP BY user_id
    ),
    began AS (
        SELECT
            multiIf({step:String} = 'week', toMonday(first), {step:String} = 'month', toStartOfMonth(first), first) AS begins,
            count() AS new_users
        FROM firsts
        WHERE {team:String} = '' OR is_mine
        GROUP BY begins
    ),
    used AS (
        SELECT
            multiIf({step:String} = 'week', toMonday(day), {step:String} = 'month', toStartOfMonth(day), day) AS begins,
            uniqExactIf(cityHash64(user_id), user_id != '') AS users,
            uniqExact(cityHash64(session_id)) AS sessions,
            sum(prompts) AS prompts,
            sum(requests) AS asked,
            sum(telemetry_sessions.unpriced) AS unpriced,
            sum(recomputed_nanos) / 1e9 AS recomputed,
            if(unpriced > 0 AND unpriced = asked, NULL, sum(cost_nanos) / 1e9) AS cost
        FROM telemetry_sessions
        WHERE day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - toIntervalSecond(1)) AND ({team:String} = '' OR team = {team:String})
        GROUP BY begins
    )
SELECT
    begins,
    users,
    new_users,
    sessions,
    prompts,
    round(sessions / nullIf(users, 0), 1) AS sessions_per_user,
    round(cost, 4) AS usd,
    round(recomputed, 4) AS recomputed_usd,
    unpriced,
    round(cost / nullIf(users, 0), 4) AS usd_per_user
FROM used
LEFT JOIN began USING (begins)
ORDER BY begins
