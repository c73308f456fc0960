/*
question: How do client versions, or projects, compare - failures, latency, first token and cost?
topic: speed
needs: [events, traces]
note: >
  Counts and cost are of whole hours. The time to the first token is in spans, which clients send when traces are switched on; spans that
  were stored by an earlier version of the server have neither a version nor a project.
parameters:
  by: {default: version, meaning: 'version, project, team, service or model'}
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  version: {default: '', meaning: 'one version of the client only; empty: all'}
  limit: {default: 50, meaning: 'how many, those with the most requests first'}
columns:
  value: 'what it is grouped by; empty: not said'
  users: people with an event
  requests: model requests that succeeded
  api_errors_percent: the share of model requests that failed for good
  tool_calls: tool calls that ended
  tools_failed_percent: those that failed
  hooks_failed_percent: the share of hook runs that failed
  p50_ms: half of the requests took no longer
  p95_ms: nineteen of twenty took no longer
  measured: requests whose time to the first token is known
  ttft_p50_ms: for half of these the first token came no later
  ttft_p95_ms: for nineteen of twenty
  usd: what the requests cost
  unpriced: requests whose cost is not known, which are not in it
  usd_per_request: cost of a request, on average
  usd_per_prompt: cost for each prompt of a person
wide: [unpriced, hooks_failed_percent, measured, users, ttft_p95_ms, usd_per_prompt]
example: {value: 2.1.301, users: 31, requests: 3180, api_errors_percent: 0.8, tool_calls: 5120, tools_failed_percent: 4.2, hooks_failed_percent: 0.3, p50_ms: 5100, p95_ms: 24000, measured: 3102, ttft_p50_ms: 820, ttft_p95_ms: 2900, usd: 64.2, unpriced: 0, usd_per_request: 0.0202, usd_per_prompt: 0.19}
*/
WITH
    counted AS (
        SELECT
            multiIf(
                {by:String} = 'version', service_version,
                {by:String} = 'project', project,
                {by:String} = 'team', team,
                {by:String} = 'service', service_name,
                {by:String} = 'model', if(event_type IN ('api_request', 'api_error'), thing, ''),
                toString(throwIf(true, 'by is one of version, project, team, service, model'))) AS value,
            uniqExactIf(cityHash64(user_id), user_id != '') AS users,
            sumIf(events, event_type = 'api_request') AS answered,
            sumIf(events, event_type = 'api_error') AS refused,
            sumIf(events, event_type = 'tool_result') AS calls,
            sumIf(failures, event_type = 'tool_result') AS calls_failed,
            sumIf(events, event_type = 'hook_execution_complete') AS hooks,
            sumIf(failures, event_type = 'hook_execution_complete') AS hooks_failed,
            sumIf(events, event_type = 'user_prompt') AS prompts,
            sum(cost_nanos) AS nanos,
            sum(telemetry_measures.unpriced) AS costless
        FROM telemetry_measures
        WHERE hour >= toStartOfHour({from:DateTime('UTC')}) AND hour < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_measures.project = {project:String}) AND ({version:String} = '' OR service_version = {version:String})
        GROUP BY value
    ),
    asked AS (
        SELECT
            multiIf(
                {by:String} = 'version', service_version, {by:String} = 'project', project, {by:String} = 'team', team,
                {by:String} = 'service', service_name, name) AS value,
            quantilesExactOrNull(0.5, 0.95)(took_ms) AS took,
            quantilesExactOrNull(0.5, 0.95)(waited_ms) AS waited,
            count(waited_ms) AS measured
        FROM (
            SELECT service_version, project, team, service_name, model_name AS name, duration_ms AS took_ms, ttft_ms AS waited_ms
            FROM telemetry_events
            WHERE event_type = 'api_request' AND timestamp >= toStartOfHour({from:DateTime('UTC')}) AND timestamp < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
                AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
                AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({version:String} = '' OR service_version = {version:String})
            UNION ALL
            SELECT service_version, project, team, service_name, replaceOne(model, '[1m]', ''), NULL, ttft_ms
            FROM telemetry_spans
            WHERE span_type = 'llm_request' AND ttft_ms IS NOT NULL AND timestamp >= toStartOfHour({from:DateTime('UTC')}) AND timestamp < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
                AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
                AND ({project:String} = '' OR telemetry_spans.project = {project:String}) AND ({version:String} = '' OR service_version = {version:String})
        )
        GROUP BY value
    )
SELECT
    counted.value AS value,
    users,
    answered AS requests,
    round(100 * refused / nullIf(answered + refused, 0), 1) AS api_errors_percent,
    calls AS tool_calls,
    round(100 * calls_failed / nullIf(calls, 0), 1) AS tools_failed_percent,
    round(100 * hooks_failed / nullIf(hooks, 0), 1) AS hooks_failed_percent,
    if(empty(took), NULL, round(took[1])) AS p50_ms,
    if(empty(took), NULL, round(took[2])) AS p95_ms,
    asked.measured AS measured,
    if(empty(waited), NULL, round(waited[1])) AS ttft_p50_ms,
    if(empty(waited), NULL, round(waited[2])) AS ttft_p95_ms,
    if(costless > 0 AND costless = answered, NULL, round(nanos / 1e9, 4)) AS usd,
    costless AS unpriced,
    round(usd / nullIf(answered - costless, 0), 6) AS usd_per_request,
    round(usd / nullIf(prompts, 0), 4) AS usd_per_prompt
FROM counted
LEFT JOIN asked USING (value)
ORDER BY requests DESC, value
LIMIT {limit:UInt64}
