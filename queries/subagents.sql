/*
question: Which subagents run, how widely do they fan out, and what do they cost?
topic: sessions
needs: [events, tool-details]
note: >
  A run is a call of the Agent tool or the report of its end, whichever there are more of: not every version sends both.
  The money is that of requests that carry the subagent's name; the tool's own name is only sent with OTEL_LOG_TOOL_DETAILS.
empty: 'no subagent ran in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  agent: the subagent's type
  runs: how often one was started
  failed: those that failed
  sessions: sessions that started one
  runs_per_session: how many such a session starts, on average
  most_in_a_session: the most in one session
  p50_seconds: half ran no longer
  p95_seconds: nineteen of twenty ran no longer
  requests: their model requests
  usd: what these cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
  usd_percent: their share of all cost
  before: 'runs in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
  before_usd: usd in the period before
wide: [before, change_percent, before_usd]
example: {agent: Explore, runs: 120, failed: 2, sessions: 41, runs_per_session: 2.9, most_in_a_session: 11, p50_seconds: 34, p95_seconds: 188, requests: 911, usd: 14.11, recomputed_usd: 0, unpriced: 0, usd_percent: 8.2, before: 96, change_percent: 25, before_usd: 11.2}
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
                AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
                AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
            LIMIT 1
        )
    ) AS was_recorded,
    per_session AS (
        SELECT
            agent_name AS agent,
            session_id,
            timestamp >= begins AS is_now,
            countIf(event_type = 'tool_result') AS calls,
            countIf(event_type = 'subagent_completed') AS completed,
            greatest(calls, completed) AS runs,
            countIf(event_type = 'tool_result' AND success = false) AS failed,
            if(completed > 0, groupArrayIf(duration_ms, event_type = 'subagent_completed'),
                groupArrayIf(duration_ms, event_type = 'tool_result')) AS took
        FROM telemetry_events
        WHERE (event_type = 'subagent_completed' OR (event_type = 'tool_result' AND tool_name IN ('Agent', 'Task'))) AND timestamp >= begins_before AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY agent, session_id, is_now
    ),
    spent AS (
        SELECT
            agent_name AS agent,
            sumIf(events, hour >= begins) AS requests,
            sumIf(cost_nanos, hour >= begins) AS nanos,
            sum(nanos) OVER () AS all_nanos,
            sumIf(recomputed_nanos, hour >= begins) AS recomputed,
            sumIf(telemetry_hourly.unpriced, hour >= begins) AS costless,
            sumIf(events, hour < begins) AS requests_before,
            sumIf(cost_nanos, hour < begins) AS nanos_before,
            sumIf(telemetry_hourly.unpriced, hour < begins) AS costless_before
        FROM telemetry_hourly
        WHERE event_type = 'api_request' AND hour >= begins_before AND hour < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
        GROUP BY agent
    ),
    ran AS (
        SELECT
            agent,
            sumIf(per_session.runs, is_now) AS runs,
            sumIf(per_session.failed, is_now) AS failed,
            countIf(per_session.runs > 0 AND is_now) AS sessions,
            maxIf(per_session.runs, is_now) AS most,
            quantileExactArrayOrNullIf(0.5)(took, is_now) AS p50,
            quantileExactArrayOrNullIf(0.95)(took, is_now) AS p95,
            sumIf(per_session.runs, NOT is_now) AS runs_before
        FROM per_session
        GROUP BY agent
    )
SELECT
    agent,
    ran.runs AS runs,
    ran.failed AS failed,
    ran.sessions AS sessions,
    round(ran.runs / nullIf(ran.sessions, 0), 1) AS runs_per_session,
    most AS most_in_a_session,
    round(p50 / 1000, 1) AS p50_seconds,
    round(p95 / 1000, 1) AS p95_seconds,
    spent.requests AS requests,
    if(costless > 0 AND costless = spent.requests, NULL, round(nanos / 1e9, 4)) AS usd,
    round(recomputed / 1e9, 4) AS recomputed_usd,
    costless AS unpriced,
    if(usd IS NULL, NULL, round(100 * nanos / nullIf(all_nanos, 0), 1)) AS usd_percent,
    if(was_recorded, runs_before, NULL) AS before,
    round(100 * (ran.runs - before) / nullIf(before, 0), 1) AS change_percent,
    if(NOT was_recorded OR (costless_before > 0 AND costless_before = requests_before), NULL, round(nanos_before / 1e9, 4)) AS before_usd
FROM ran
FULL JOIN spent USING (agent)
WHERE agent != '' AND (ran.runs > 0 OR spent.requests > 0)
ORDER BY usd DESC, runs DESC, agent
