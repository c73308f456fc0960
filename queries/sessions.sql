/*
question: How did each session go?
topic: sessions
needs: [events]
note: >
  A session counts with all of its days that the period touches.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'sessions that used this model; empty: all'}
  order: {default: started, meaning: 'the largest first, of started, usd, failures, minutes'}
  limit: {default: 50, meaning: how many sessions}
columns:
  session: the session's id
  user: the user, as a hash when the rules hash it
  team: their team
  project: what they worked on, where a team says so
  started: when its first event was sent, UTC
  minutes: from its first event to its last
  prompts: prompts of the user
  requests: model requests that succeeded
  tool_calls: tool calls that ended
  tools_failed: those that failed
  tools_rejected: tool calls that were not allowed
  api_errors: model requests that failed for good
  failures: failures of any kind
  outcome: 'nothing done: it was opened alone, as `claude --continue` does before it goes on with the old one; no failures; recovered: each thing that failed worked later; went on: not each did; stopped: nothing succeeded after the last failure'
  tokens: input and output tokens, without cache
  usd: what its requests cost
  recomputed_usd: how much of that is recomputed from tokens and prices, as the client sent no cost
  unpriced: requests whose cost is not known, which are not in it
wide: [recomputed_usd, unpriced, project, api_errors, tools_rejected, tools_failed, tokens, team]
example: {session: 6f1c0b1e-…, user: 'sha256:9b1f…', team: platform, project: web, started: '2026-11-22 09:14:03', minutes: 38, prompts: 9, requests: 41, tool_calls: 63, tools_failed: 4, tools_rejected: 1, api_errors: 1, failures: 5, outcome: recovered, tokens: 88120, usd: 1.92, recomputed_usd: 0, unpriced: 0}
*/
WITH
    merged AS (
        SELECT
            session_id,
            max(user_id) AS user,
            max(team) AS team_name,
            max(project) AS project_name,
            groupUniqArrayArray(models) AS used,
            min(started) AS begun,
            max(ended) AS last,
            sum(prompts) AS prompts,
            sum(requests) AS requests,
            sum(tool_calls) AS tool_calls,
            sum(tools_failed) AS tools_failed,
            sum(tools_rejected) AS tools_rejected,
            sum(api_errors) AS api_errors,
            sum(failures) AS failures,
            max(last_failure) AS failed,
            max(last_success) AS succeeded,
            sum(input_tokens) + sum(output_tokens) AS tokens,
            sum(cost_nanos) AS nanos,
            sum(recomputed_nanos) AS recomputed,
            sum(telemetry_sessions.unpriced) AS costless,
            dateDiff('minute', begun, last) AS minutes
        FROM telemetry_sessions
        WHERE day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - toIntervalSecond(1))
        GROUP BY session_id
        HAVING last >= toStartOfHour({from:DateTime('UTC')}) AND begun < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
    ),
    chosen AS (
        SELECT
            *,
            multiIf(
                {order:String} = 'usd', toFloat64(nanos), {order:String} = 'failures', toFloat64(failures),
                {order:String} = 'minutes', toFloat64(minutes), 0.) AS rank
        FROM merged
        WHERE ({team:String} = '' OR team_name = {team:String}) AND ({user:String} = '' OR user = {user:String})
            AND ({project:String} = '' OR project_name = {project:String}) AND ({model:String} = '' OR has(used, {model:String}))
        ORDER BY rank DESC, begun DESC, session_id
        LIMIT {limit:UInt64}
    ),
    -- Of what failed in a session, how many things did not work later.
    outcomes AS (
        SELECT session_id, countIf(broke > worked) AS lost
        FROM (
            SELECT
                session_id,
                maxIf(timestamp, failure != '') AS broke,
                maxIf(timestamp, failure = '' AND tried_id != 0 AND event_type != 'api_retries_exhausted') AS worked
            FROM telemetry_events
            WHERE timestamp >= toStartOfDay({from:DateTime('UTC')}) AND timestamp < toStartOfDay({to:DateTime('UTC')} - toIntervalSecond(1)) + toIntervalDay(1)
                AND session_id IN (SELECT session_id FROM chosen WHERE failures > 0) AND (tried_id != 0 OR failure != '')
            GROUP BY session_id, tried_id
        )
        GROUP BY session_id
    )
SELECT
    session_id AS session,
    user,
    team_name AS team,
    project_name AS project,
    toDateTime(begun, 'UTC') AS started,
    minutes,
    prompts,
    requests,
    tool_calls,
    tools_failed,
    tools_rejected,
    api_errors,
    failures,
    multiIf(
        prompts + requests + tool_calls + tools_rejected + failures = 0, 'nothing done',
        failures = 0, 'no failures', lost = 0, 'recovered', succeeded > failed, 'went on', 'stopped') AS outcome,
    tokens,
    if(costless > 0 AND costless = requests, NULL, round(nanos / 1e9, 4)) AS usd,
    round(recomputed / 1e9, 4) AS recomputed_usd,
    costless AS unpriced
FROM chosen
LEFT JOIN outcomes USING (session_id)
ORDER BY rank DESC, begun DESC, session
