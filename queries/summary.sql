/*
question: What happened, in one glance, against the period before?
topic: sessions
needs: [events]
note: >
  A session belongs to the period in which it had its last event. With a model, its requests and the sessions
  that used it are counted: prompts and tool calls have no model, and are then 0.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'requests of this model, and sessions that used it; empty: all'}
columns:
  measure: what is counted
  value: in the period; empty when it is not known
  before: in the period of the same length before; empty when it is not known or nothing was recorded then
  change_percent: how much more or less; empty without one before
example: {measure: usd, value: 64.2, before: 51.1, change_percent: 25.6}
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
    counted AS (
        SELECT
            hour >= begins AS is_now,
            uniqExactIf(cityHash64(user_id), user_id != '') AS users,
            sumIf(events, event_type = 'user_prompt') AS prompts,
            sumIf(events, event_type = 'api_request') AS requests,
            sumIf(events, event_type = 'tool_result') AS tool_calls,
            sumIf(failures, event_type = 'tool_result') AS tools_failed,
            sumIf(events, event_type = 'api_error') AS api_errors,
            sum(failures) AS failed,
            sum(recomputed_nanos) / 1e9 AS recomputed,
            sum(telemetry_hourly.unpriced) AS costless,
            if(costless > 0 AND costless = requests, NULL, sumIf(cost_nanos, event_type = 'api_request') / 1e9) AS usd,
            sumIf(input_tokens + output_tokens, event_type = 'api_request') AS tokens,
            sumIf(cache_read_tokens, event_type = 'api_request') AS cached,
            sumIf(input_tokens + cache_read_tokens + cache_creation_tokens, event_type = 'api_request') AS sent
        FROM telemetry_hourly
        WHERE hour >= begins_before AND hour < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_hourly.project = {project:String}) AND ({model:String} = '' OR telemetry_hourly.model = {model:String})
        GROUP BY is_now
    ),
    opened AS (
        SELECT
            last >= begins AS is_now,
            count() AS sessions,
            countIf(failed > succeeded) AS stopped
        FROM (
            SELECT
                session_id, max(ended) AS last, max(last_failure) AS failed, max(last_success) AS succeeded, max(team) AS team_name,
                max(user_id) AS user, max(project) AS project_name, groupUniqArrayArray(models) AS used
            FROM telemetry_sessions
            WHERE day >= toDate(begins_before) AND day <= toDate(ends)
            GROUP BY session_id
        )
        WHERE last >= begins_before AND last < ends
            AND ({team:String} = '' OR team_name = {team:String}) AND ({user:String} = '' OR user = {user:String})
            AND ({project:String} = '' OR project_name = {project:String}) AND ({model:String} = '' OR has(used, {model:String}))
        GROUP BY is_now
    )
SELECT
    one.1 AS measure,
    if(countIf(is_now AND one.2 IS NULL) > 0, NULL, round(sumIf(ifNull(one.2, 0), is_now), 4)) AS value,
    if(NOT was_recorded OR countIf(NOT is_now AND one.2 IS NULL) > 0, NULL, round(sumIf(ifNull(one.2, 0), NOT is_now), 4)) AS before,
    round(100 * (value - before) / nullIf(before, 0), 1) AS change_percent
FROM (
    SELECT
        is_now,
        arrayJoin([
            (1, 'users', toFloat64(users)), (3, 'prompts', toFloat64(prompts)), (4, 'model requests', toFloat64(requests)),
            (5, 'tool calls', toFloat64(tool_calls)), (6, 'tool failures', toFloat64(tools_failed)),
            (7, 'api errors', toFloat64(api_errors)), (8, 'failures', toFloat64(failed)),
            (9, 'failure percent', round(100 * failed / nullIf(tool_calls + requests + api_errors, 0), 2)),
            (11, 'usd', usd), (12, 'usd recomputed', recomputed), (13, 'requests without a known cost', toFloat64(costless)),
            (14, 'usd per prompt', usd / nullIf(prompts, 0)), (15, 'input and output tokens', toFloat64(tokens)),
            (16, 'cache percent', round(100 * cached / nullIf(sent, 0), 1))]) AS numbered,
        (numbered.2, numbered.3) AS one,
        numbered.1 AS place
    FROM counted
    UNION ALL
    SELECT
        is_now,
        arrayJoin([(2, 'sessions', toFloat64(sessions)), (10, 'sessions that stopped at a failure', toFloat64(stopped))]) AS numbered,
        (numbered.2, toNullable(numbered.3)) AS one,
        numbered.1 AS place
    FROM opened
)
GROUP BY measure, place
ORDER BY place
