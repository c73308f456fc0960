/*
question: What does a session cost, from the cheapest to the dearest?
topic: cost
needs: [events]
note: >
  The dearest one by one: sessions -p order=usd.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'sessions that used this model; empty: all'}
columns:
  day: the day it began, UTC
  sessions: sessions that made a model request
  usd: what they cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  mean: what one cost, on average
  p50: half cost no more
  p95: nineteen of twenty cost no more
  dearest: what the dearest cost
  dearest_session: which one that was
example: {day: '2026-11-22', sessions: 61, usd: 71.2, recomputed_usd: 0, unpriced: 0, mean: 1.17, p50: 0.64, p95: 4.9, dearest: 11.2, dearest_session: 6f1c0b1e-…}
*/
WITH merged AS (
    SELECT
        session_id,
        min(started) AS begun,
        max(ended) AS last,
        max(team) AS team_name,
        max(user_id) AS user,
        max(project) AS project_name,
        groupUniqArrayArray(models) AS used,
        sum(requests) AS requests,
        sum(telemetry_sessions.unpriced) AS unpriced,
        sum(recomputed_nanos) / 1e9 AS recomputed,
        if(unpriced = requests, NULL, sum(cost_nanos) / 1e9) AS cost
    FROM telemetry_sessions
    WHERE day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - toIntervalSecond(1))
    GROUP BY session_id
    HAVING last >= toStartOfHour({from:DateTime('UTC')}) AND begun < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599)) AND requests > 0
)
SELECT
    toDate(begun, 'UTC') AS day,
    count() AS sessions,
    round(sum(cost), 4) AS usd,
    round(sum(recomputed), 4) AS recomputed_usd,
    sum(merged.unpriced) AS unpriced,
    round(avg(cost), 4) AS mean,
    round(quantileExactOrNull(0.5)(cost), 4) AS p50,
    round(quantileExactOrNull(0.95)(cost), 4) AS p95,
    round(max(cost), 4) AS dearest,
    argMax(session_id, (ifNull(cost, -1), session_id)) AS dearest_session
FROM merged
WHERE ({team:String} = '' OR team_name = {team:String}) AND ({user:String} = '' OR user = {user:String})
    AND ({project:String} = '' OR project_name = {project:String}) AND ({model:String} = '' OR has(used, {model:String}))
GROUP BY day
ORDER BY day
