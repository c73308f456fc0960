-- What is measured, by the hour or the day, for everyone, each team, user, project, model and client version: `n` of
-- what could happen, `k` of those in which it did; of durations and costs the sum and the sum of squares of the logarithm
-- (x, xx); `ms` and `usd` are what they took. Events are added up first, and put under several measures after that.
WITH
    {from:DateTime('UTC')} AS begin,
    {to:DateTime('UTC')} AS ending,
    (SELECT arrayFilter(code -> code != '', groupUniqArray(40)(toString(api_error_code))) FROM telemetry_events
        WHERE event_type = 'api_error' AND timestamp >= begin AND timestamp < ending) AS codes,
    (SELECT arrayFilter(name -> name != '', groupUniqArray(40)(toString(model_name))) FROM telemetry_events
        WHERE event_type = 'api_request' AND timestamp >= begin AND timestamp < ending) AS models,
    tools AS (
        SELECT
            toUnixTimestamp(toStartOfInterval(timestamp, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, service_version, tool_name, command, mcp_server_name,
            count() AS calls,
            countIf(failure != '') AS failed,
            countIf(failure = '' AND duration_ms IS NOT NULL) AS timed,
            sumIf(log(greatest(assumeNotNull(duration_ms), 1)) AS logged, failure = '' AND duration_ms IS NOT NULL) AS x,
            sumIf(logged * logged, failure = '' AND duration_ms IS NOT NULL) AS xx,
            sumIf(ifNull(duration_ms, 0), failure = '') AS ms_ok,
            sumIf(ifNull(duration_ms, 0), failure != '') AS ms_failed
        FROM telemetry_events
        WHERE event_type = 'tool_result' AND timestamp >= begin AND timestamp < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY ALL
    ),
    requests AS (
        SELECT
            toUnixTimestamp(toStartOfInterval(timestamp, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, service_version, model_name, api_error_code,
            count() AS tried,
            countIf(event_type = 'api_request') AS answered,
            countIf(event_type = 'api_request' AND duration_ms IS NOT NULL) AS timed,
            sumIf(log(greatest(ifNull(duration_ms, 1), 1)) AS logged, event_type = 'api_request') AS x,
            sumIf(logged * logged, event_type = 'api_request') AS xx,
            sum(ifNull(duration_ms, 0)) AS ms,
            countIf(event_type = 'api_request' AND ttft_ms > 0) AS timed_first,
            sumIf(log(greatest(ifNull(ttft_ms, 1), 1)) AS logged_first, event_type = 'api_request' AND ttft_ms > 0) AS x_first,
            sumIf(logged_first * logged_first, event_type = 'api_request' AND ttft_ms > 0) AS xx_first,
            sumIf(ifNull(ttft_ms, 0), event_type = 'api_request') AS ms_first,
            countIf(event_type = 'api_request' AND cost_nanos > 0) AS priced,
            sumIf(log(ifNull(cost_nanos, 1) / 1e9) AS logged_cost, event_type = 'api_request' AND cost_nanos > 0) AS x_cost,
            sumIf(logged_cost * logged_cost, event_type = 'api_request' AND cost_nanos > 0) AS xx_cost,
            sum(ifNull(cost_nanos, 0)) / 1e9 AS usd,
            -- Small prompts are not worth a cache.
            countIf((ifNull(input_tokens, 0) + ifNull(cache_read_tokens, 0) + ifNull(cache_creation_tokens, 0)) >= 4000) AS cacheable,
            sumIf(1 - ifNull(cache_read_tokens, 0) / (ifNull(input_tokens, 0) + ifNull(cache_read_tokens, 0) + ifNull(cache_creation_tokens, 0)) AS uncached, (ifNull(input_tokens, 0) + ifNull(cache_read_tokens, 0) + ifNull(cache_creation_tokens, 0)) >= 4000) AS x_cache,
            sumIf(uncached * uncached, (ifNull(input_tokens, 0) + ifNull(cache_read_tokens, 0) + ifNull(cache_creation_tokens, 0)) >= 4000) AS xx_cache
        FROM telemetry_events
        WHERE event_type IN ('api_request', 'api_error') AND timestamp >= begin AND timestamp < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY bucket, user_id, team, project, service_version, model_name, api_error_code
    ),
    cells AS (
        SELECT bucket, user_id, team, project, service_version, '' AS model,
            one.1 AS measure, one.2 AS thing, one.3 AS n, one.4 AS k, one.5 AS x, one.6 AS xx, one.7 AS ms, 0. AS usd
        FROM tools
        ARRAY JOIN arrayFlatten(arrayMap(
            named -> [
                ('tool fails', named, calls, toFloat64(failed), 0., 0., ms_failed),
                ('tool time', named, timed, 0., tools.x, tools.xx, ms_ok)],
            arrayFilter(
                named -> named != '',
                [
                    if(mcp_server_name = '', toString(tool_name), ''),
                    if(command = '', '', concat(tool_name, ' ', command)),
                    if(mcp_server_name = '', '', concat('MCP server ', mcp_server_name)),
                    if(mcp_server_name = '', '', toString(tool_name))
                ]))) AS one
        UNION ALL
        SELECT bucket, user_id, team, project, service_version, model_name,
            one.1, one.2, one.3, one.4, one.5, one.6, one.7, one.8
        FROM requests
        ARRAY JOIN arrayConcat(
            arrayMap(code -> ('api', code, tried, toFloat64(if(api_error_code = code, tried, 0)), 0., 0., if(api_error_code = code, ms, 0.), 0.), codes),
            if(answered = 0, [], arrayMap(name -> ('model', name, answered, toFloat64(if(model_name = name, answered, 0)), 0., 0., 0., if(model_name = name, requests.usd, 0.)), models)),
            if(answered = 0, [], [
                ('request time', toString(model_name), timed, 0., requests.x, requests.xx, requests.ms, 0.),
                ('first token', toString(model_name), timed_first, 0., x_first, xx_first, ms_first, 0.),
                ('request cost', '', priced, 0., x_cost, xx_cost, 0., requests.usd),
                ('cache', '', cacheable, 0., x_cache, xx_cache, 0., requests.usd),
                ('requests', '', 0, toFloat64(answered), 0., 0., 0., requests.usd)])) AS one
        UNION ALL
        SELECT
            toUnixTimestamp(toStartOfInterval(timestamp, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, service_version, '', 'hook time', attributes['hook_name'] AS thing,
            count(), 0., sum(log(greatest(ifNull(duration_ms, 1), 1)) AS logged), sum(logged * logged), sum(ifNull(duration_ms, 0)), 0.
        FROM telemetry_events
        WHERE event_type = 'hook_execution_complete' AND timestamp >= begin AND timestamp < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY ALL
        UNION ALL
        SELECT
            toUnixTimestamp(toStartOfInterval(timestamp, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, service_version, '', kind AS measure, attributes['hook_name'] AS thing,
            count(), toFloat64(countIf(if(kind = 'hook fails', failure != '', decision = 'block')) AS happened), 0., 0., sum(ifNull(duration_ms, 0)) * happened / count(), 0.
        FROM telemetry_events
        ARRAY JOIN ['hook fails', 'hook blocks'] AS kind
        WHERE event_type = 'hook_execution_complete' AND timestamp >= begin AND timestamp < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY ALL
        UNION ALL
        SELECT
            toUnixTimestamp(toStartOfInterval(timestamp, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, service_version, '', 'connection', mcp_server_name AS thing,
            count(), toFloat64(countIf(failure != '')), 0., 0., sumIf(ifNull(duration_ms, 0), failure != ''), 0.
        FROM telemetry_events
        WHERE event_type = 'mcp_server_connection' AND attributes['status'] IN ('connected', 'failed') AND timestamp >= begin AND timestamp < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY ALL
        UNION ALL
        SELECT
            toUnixTimestamp(toStartOfInterval(timestamp, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, service_version, '', 'refusals', toString(tool_name) AS thing,
            count(), toFloat64(countIf(decision = 'reject')), 0., 0., 0., 0.
        FROM telemetry_events
        -- What a rule allows is no answer of a person.
        WHERE event_type = 'tool_decision' AND (decision = 'reject' OR startsWith(decision_source, 'user')) AND timestamp >= begin AND timestamp < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY ALL
        UNION ALL
        SELECT
            toUnixTimestamp(toStartOfInterval(timestamp, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, service_version, '', one AS measure, '',
            countIf(event_type = 'user_prompt'),
            toFloat64(multiIf(
                one = 'compactions', countIf(event_type = 'compaction'),
                one = 'subagents', greatest(countIf(event_type = 'subagent_completed'), countIf(event_type = 'tool_result')),
                0)), 0., 0., 0., 0.
        FROM telemetry_events
        ARRAY JOIN ['compactions', 'subagents', 'requests'] AS one
        WHERE (event_type IN ('user_prompt', 'compaction', 'subagent_completed') OR (event_type = 'tool_result' AND tool_name IN ('Agent', 'Task')))
            AND timestamp >= begin AND timestamp < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY bucket, user_id, team, project, service_version, one
        UNION ALL
        SELECT bucket, user_id, team, project, service_version, '', 'loops', thing, n, k, 0., 0., ms, 0.
        FROM (
            SELECT
                toUnixTimestamp(toStartOfInterval(min(timestamp), toIntervalSecond({bucket:UInt32}))) AS bucket,
                any(e.user_id) AS user_id, any(e.team) AS team, any(e.project) AS project, any(e.service_version) AS service_version,
                concat(any(tool_name), if(any(command) = '', '', concat(' ', any(command)))) AS thing,
                count() AS n,
                toFloat64(if(countIf(failure != '') >= 3, countIf(failure != '') - 1, 0)) AS k,
                sumIf(ifNull(duration_ms, 0), failure != '') AS ms
            FROM telemetry_events AS e
            WHERE event_type = 'tool_result' AND input_id != 0 AND timestamp >= begin AND timestamp < ending
                AND ({team:String} = '' OR e.team = {team:String}) AND ({user:String} = '' OR e.user_id = {user:String}) AND ({project:String} = '' OR e.project = {project:String})
            GROUP BY input_id
        )
        UNION ALL
        SELECT
            toUnixTimestamp(toStartOfInterval(timestamp, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, '', '', one.2, one.1 AS measure, one.2 AS thing, sum(one.3), sum(one.4), sum(one.5), sum(one.6), sum(one.7), 0.
        FROM telemetry_spans
        ARRAY JOIN if(span_type = 'llm_request', [
                ('first token', replaceOne(toString(model), '[1m]', ''), toUInt64(ttft_ms > 0), 0., log(greatest(ifNull(ttft_ms, 1), 1)), pow(log(greatest(ifNull(ttft_ms, 1), 1)), 2), ifNull(ttft_ms, 0)),
                ('retries', replaceOne(toString(model), '[1m]', ''), toUInt64(1), toFloat64(greatest(ifNull(attempt, 1), 1) - 1), 0., 0., if(attempt > 1, ifNull(duration_ms, 0), 0))],
            [('wait', '', toUInt64(1), 0., log(greatest(ifNull(duration_ms, 1), 1)), pow(log(greatest(ifNull(duration_ms, 1), 1)), 2), ifNull(duration_ms, 0))]) AS one
        WHERE ((span_type = 'llm_request' AND ifNull(success, true)) OR (span_type = 'tool.blocked_on_user' AND startsWith(decision_source, 'user')))
            AND timestamp >= begin AND timestamp < ending AND one.3 > 0
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND {project:String} = ''
        GROUP BY bucket, user_id, team, one.1, one.2
    )
SELECT measure, thing, dimension, value, steps
FROM (
    SELECT *, max(is_odd) OVER (PARTITION BY measure, thing) AS has_odd
    FROM (
        SELECT measure, thing, dim.1 AS dimension, dim.2 AS value,
            arraySort(one -> one.1, groupArray((bucket, ns, ks, xs, xxs, mss, usds))) AS steps,
            measure LIKE '% time' OR measure IN ('first token', 'wait', 'cache', 'request cost') AS is_mean,
            arrayCumSum(steps.2) AS n,
            arrayCumSum(if(is_mean, steps.4, steps.3)) AS k,
            -- Roughly by how many standard deviations what follows a step differs from the steps before it, and by how
            -- many a step differs from all: what is ordinary by this is not looked at more closely.
            greatest(n[-1], 1) AS whole,
            greatest((arraySum(steps.5) - pow(k[-1], 2) / whole) / whole, 1e-4) AS variance,
            arrayMax(arrayMap(
                (past, happened) -> if(past <= 0 OR past >= whole, 0., if(
                    is_mean,
                    ((k[-1] - happened) / (whole - past) - happened / past) / sqrt(variance * (1 / past + 1 / (whole - past))),
                    (k[-1] - happened - (happened + 0.5) / past * (whole - past))
                        / sqrt((happened + 0.5) / past * (whole - past) * (1 + (whole - past) / past)))),
                n, k)) AS after,
            arrayMax(arrayMap(
                (some, times, sum_x) -> if(some <= 0, 0., if(
                    is_mean,
                    (sum_x / some - k[-1] / whole) / sqrt(variance / some),
                    (times - k[-1] / whole * some) / sqrt(greatest(k[-1] / whole * some, 0.5)))),
                steps.2, steps.3, steps.4)) AS alone,
            greatest(after, alone - 2) >= {odd:Float64} AS is_odd
        FROM (
            SELECT measure, thing, dim, bucket,
                sum(ifNull(n, 0)) AS ns, sum(ifNull(k, 0)) AS ks, sum(ifNull(x, 0)) AS xs, sum(ifNull(xx, 0)) AS xxs,
                sum(ifNull(ms, 0)) AS mss, sum(ifNull(cells.usd, 0)) AS usds
            FROM cells
            ARRAY JOIN arrayFilter(
                one -> one.2 != '' OR one.1 = 'everyone',
                [
                    ('everyone', ''), ('team', toString(team)), ('user', toString(user_id)), ('project', toString(project)),
                    ('model', toString(model)), ('version', toString(service_version))
                ]) AS dim
            -- As JSON: drivers escape the quotation marks in an array.
            WHERE {only:String} = '[]' OR has(JSONExtract({only:String}, 'Array(String)'), concat(measure, ': ', thing))
            GROUP BY measure, thing, dim, bucket
        )
        GROUP BY measure, thing, dim
        HAVING sum(ns) >= {least:UInt32} OR dimension = 'user'
    )
)
-- All of a thing are wanted when one is odd, to see whose it is; and what is always there.
WHERE has_odd OR dimension = 'everyone' OR measure = 'requests'
