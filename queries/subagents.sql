/*
question: Which subagents run, how widely do they fan out, and what do they cost?
topic: sessions
needs: [events, tool-details]
note: >
  A run is a call of the Agent tool or the report of its end, whichever there are more of: not every version sends both.
  The money is that of requests that carry the subagent's name, by whole hours; the tool's own name is only sent with OTEL_LOG_TOOL_DETAILS.
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
example: {agent: Explore, runs: 120, failed: 2, sessions: 41, runs_per_session: 2.9, most_in_a_session: 11, p50_seconds: 34, p95_seconds: 188, requests: 911, usd: 14.11, recomputed_usd: 0, unpriced: 0, usd_percent: 8.2}
*/
WITH
    per_session AS (
        SELECT
            agent_name AS agent,
            session_id,
            countIf(event_type = 'tool_result') AS calls,
            countIf(event_type = 'subagent_completed') AS completed,
            greatest(calls, completed) AS runs,
            countIf(event_type = 'tool_result' AND success = false) AS failed,
            if(completed > 0, groupArrayIf(duration_ms, event_type = 'subagent_completed'),
                groupArrayIf(duration_ms, event_type = 'tool_result')) AS took
        FROM telemetry_events
        WHERE (event_type = 'subagent_completed' OR (event_type = 'tool_result' AND tool_name IN ('Agent', 'Task'))) AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY agent, session_id
    ),
    spent AS (
        SELECT agent_name AS agent, sum(events) AS requests, sum(cost_nanos) AS nanos, sum(nanos) OVER () AS all_nanos,
            sum(recomputed_nanos) AS recomputed, sum(telemetry_hourly.unpriced) AS costless
        FROM telemetry_hourly
        WHERE event_type = 'api_request' AND hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String})
        GROUP BY agent
    ),
    ran AS (
        SELECT
            agent,
            sum(runs) AS runs,
            sum(failed) AS failed,
            countIf(per_session.runs > 0) AS sessions,
            max(per_session.runs) AS most,
            quantileExactArrayOrNull(0.5)(took) AS p50,
            quantileExactArrayOrNull(0.95)(took) AS p95
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
    if(usd IS NULL, NULL, round(100 * nanos / nullIf(all_nanos, 0), 1)) AS usd_percent
FROM ran
FULL JOIN spent USING (agent)
WHERE agent != ''
ORDER BY usd DESC, runs DESC, agent
