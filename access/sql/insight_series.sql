-- What is measured, by the hour or the day, for everyone, each team, user, project, model and client version: `n` of
-- what could happen, `k` of those in which it did; of durations and costs the sum and the sum of squares of the logarithm
-- (x, xx); `ms` and `usd` are what they took. The roll-up's rows are added up first, and put under several measures after
-- that. The same call that fails again, and what spans alone know, come from their own rows.
WITH
    {from:DateTime('UTC')} AS begin,
    {to:DateTime('UTC')} AS ending,
    -- As JSON: drivers escape the quotation marks in an array.
    JSONExtract({only:String}, 'Array(String)') AS wanted,
    measured AS (
        SELECT toUnixTimestamp(toStartOfInterval(hour, toIntervalSecond({bucket:UInt32}))) AS bucket, *
        FROM telemetry_measures
        WHERE hour >= toStartOfHour(begin) AND hour < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
    ),
    (SELECT arrayFilter(code -> code != '', groupUniqArray(40)(toString(part))) FROM measured WHERE event_type = 'api_error') AS codes,
    (SELECT arrayFilter(name -> name != '', groupUniqArray(40)(toString(thing))) FROM measured WHERE event_type = 'api_request') AS models,
    tools AS (
        SELECT
            bucket, user_id, team, project, service_version, thing AS tool, part AS command, mcp_server_name AS server,
            sum(events) AS calls, sum(failures) AS failed, sum(measured.repeatable) AS repeatable, sum(measured.timed) AS timed,
            sum(log_ms) AS x, sum(log_ms_squared) AS xx, sum(measured.failed_ms) AS failed_ms, sum(duration_ms) - failed_ms AS ms
        FROM measured
        WHERE event_type = 'tool_result'
        GROUP BY bucket, user_id, team, project, service_version, tool, command, server
    ),
    requests AS (
        SELECT
            bucket, user_id, team, project, service_version, thing AS model_name,
            sum(events) AS tried,
            sumIf(events, event_type = 'api_request') AS answered,
            sumMapIf(map(toString(part), (events)), event_type = 'api_error') AS failed,
            sumMapIf(map(toString(part), duration_ms), event_type = 'api_error') AS failed_ms,
            sumIf(measured.timed, event_type = 'api_request') AS timed,
            sumIf(log_ms, event_type = 'api_request') AS x,
            sumIf(log_ms_squared, event_type = 'api_request') AS xx,
            sumIf(duration_ms, event_type = 'api_request') AS ms,
            sum(measured.ttft_timed) AS ttft_timed, sum(log_ttft) AS x_first, sum(log_ttft_squared) AS xx_first, sum(measured.ttft_ms) AS ttft_ms,
            sum(measured.priced) AS priced, sum(log_usd) AS x_cost, sum(log_usd_squared) AS xx_cost, sum(cost_nanos) / 1e9 AS usd,
            sum(measured.cacheable) AS cacheable, sum(uncached) AS x_cache, sum(uncached_squared) AS xx_cache
        FROM measured
        WHERE event_type IN ('api_request', 'api_error')
        GROUP BY bucket, user_id, team, project, service_version, model_name
    ),
    others AS (
        SELECT
            bucket, event_type, user_id, team, project, service_version, toString(thing) AS name,
            sum(events) AS times, sum(failures) AS failed, sum(refusals) AS refused, sum(log_ms) AS x, sum(log_ms_squared) AS xx,
            sum(duration_ms) AS ms, sum(measured.failed_ms) AS failed_ms
        FROM measured
        WHERE event_type IN ('hook_execution_complete', 'mcp_server_connection', 'tool_decision')
        GROUP BY bucket, event_type, user_id, team, project, service_version, name
    ),
    prompts AS (
        SELECT
            bucket, user_id, team, project, service_version,
            sumIf(events, event_type = 'user_prompt') AS asked,
            sumIf(events, event_type = 'compaction') AS compacted,
            greatest(sumIf(events, event_type = 'subagent_completed'), sumIf(events, event_type = 'tool_result')) AS agents
        FROM measured
        WHERE event_type IN ('user_prompt', 'compaction', 'subagent_completed') OR (event_type = 'tool_result' AND thing IN ('Agent', 'Task'))
        GROUP BY bucket, user_id, team, project, service_version
    ),
    cells AS (
        SELECT bucket, user_id, team, project, service_version, '' AS model, arrayJoin(arrayConcat(
            arrayFlatten(arrayMap(
                named -> [
                    ('tool fails', named, calls, toFloat64(failed), 0., 0., failed_ms, 0.),
                    ('tool time', named, timed, 0., tools.x, tools.xx, tools.ms, 0.)],
                arrayFilter(
                    named -> named != '',
                    [
                        toString(tool),
                        if(command = '', '', concat(tool, ' ', command)),
                        if(server = '', '', concat('MCP server ', server))
                    ]))),
            [('loops', concat(tool, if(command = '', '', concat(' ', command))), repeatable, 0., 0., 0., 0., 0.)])) AS one
        FROM tools
        UNION ALL
        SELECT bucket, user_id, team, project, service_version, toString(model_name), arrayJoin(arrayConcat(
            arrayMap(code -> ('api', code, tried, toFloat64(failed[code]), 0., 0., failed_ms[code], 0.), codes),
            if(answered = 0, [], arrayMap(name -> ('model', name, answered, toFloat64(if(model_name = name, answered, 0)), 0., 0., 0., if(model_name = name, requests.usd, 0.)), models)),
            if(answered = 0, [], [
                ('request time', toString(model_name), timed, 0., requests.x, requests.xx, requests.ms, 0.),
                ('first token', toString(model_name), ttft_timed, 0., x_first, xx_first, requests.ttft_ms, 0.),
                ('request cost', '', priced, 0., x_cost, xx_cost, 0., requests.usd),
                ('cache', '', cacheable, 0., x_cache, xx_cache, 0., requests.usd),
                ('requests', '', 0, toFloat64(answered), 0., 0., 0., requests.usd)])))
        FROM requests
        UNION ALL
        SELECT bucket, user_id, team, project, service_version, '', arrayJoin(multiIf(
            event_type = 'hook_execution_complete', [
                ('hook time', name, times, 0., others.x, others.xx, others.ms, 0.),
                ('hook fails', name, times, toFloat64(failed), 0., 0., others.ms * failed / times, 0.),
                ('hook blocks', name, times, toFloat64(refused), 0., 0., others.ms * refused / times, 0.)],
            event_type = 'mcp_server_connection', [('connection', name, times, toFloat64(failed), 0., 0., failed_ms, 0.)],
            [('refusals', name, times, toFloat64(refused), 0., 0., 0., 0.)]))
        FROM others
        UNION ALL
        SELECT bucket, user_id, team, project, service_version, '', arrayJoin([
            ('compactions', '', asked, toFloat64(compacted), 0., 0., 0., 0.),
            ('subagents', '', asked, toFloat64(agents), 0., 0., 0., 0.),
            ('requests', '', asked, 0., 0., 0., 0., 0.)])
        FROM prompts
        UNION ALL
        -- A call that failed three times with the same input was made again for nothing, each time but the first.
        SELECT
            toUnixTimestamp(toStartOfInterval(again.1, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, service_version, '', ('loops', thing, toUInt64(0), 1., 0., 0., again.2, 0.)
        FROM (
            SELECT
                any(e.user_id) AS user_id, any(e.team) AS team, any(e.project) AS project, any(e.service_version) AS service_version,
                concat(any(tool_name), if(any(command) = '', '', concat(' ', any(command)))) AS thing,
                arraySort(call -> call.1, groupArray((toDateTime(timestamp, 'UTC'), ifNull(duration_ms, 0)))) AS calls
            FROM telemetry_events AS e
            WHERE event_type = 'tool_result' AND failure != '' AND input_id != 0 AND timestamp >= begin AND timestamp < ending
                AND ({team:String} = '' OR e.team = {team:String}) AND ({user:String} = '' OR e.user_id = {user:String}) AND ({project:String} = '' OR e.project = {project:String})
            GROUP BY input_id
            HAVING length(calls) >= 3
        )
        ARRAY JOIN arraySlice(calls, 2) AS again
        UNION ALL
        SELECT
            toUnixTimestamp(toStartOfInterval(timestamp, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, service_version, model_name,
            arrayJoin(if(span_type = 'llm_request',
                [
                    ('first token', model_name, countIf(ttft_ms > 0), 0., sumIf(logged_first, ttft_ms > 0), sumIf(logged_first * logged_first, ttft_ms > 0), sumIf(ifNull(ttft_ms, 0), ttft_ms > 0), 0.),
                    ('retries', model_name, count(), toFloat64(sum(greatest(ifNull(attempt, 1), 1) - 1)), 0., 0., sumIf(ifNull(duration_ms, 0), attempt > 1), 0.)],
                [('wait', '', count(), 0., sum(logged), sum(logged * logged), sum(ifNull(duration_ms, 0)), 0.)]))
        FROM (
            SELECT
                *, replaceOne(toString(model), '[1m]', '') AS model_name,
                log(greatest(ifNull(duration_ms, 1), 1)) AS logged, log(greatest(ifNull(ttft_ms, 1), 1)) AS logged_first
            FROM telemetry_spans
        )
        WHERE ((span_type = 'llm_request' AND ifNull(success, true)) OR (span_type = 'tool.blocked_on_user' AND startsWith(decision_source, 'user')))
            AND timestamp >= begin AND timestamp < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY bucket, span_type, user_id, team, project, service_version, model_name
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
            SELECT
                one.1 AS measure, one.2 AS thing, dim, bucket,
                sum(ifNull(one.3, 0)) AS ns, sum(ifNull(one.4, 0)) AS ks, sum(ifNull(one.5, 0)) AS xs, sum(ifNull(one.6, 0)) AS xxs,
                sum(ifNull(one.7, 0)) AS mss, sum(ifNull(one.8, 0)) AS usds
            FROM (SELECT * FROM cells WHERE empty(wanted) OR has(wanted, concat(one.1, ': ', one.2)))
            ARRAY JOIN arrayFilter(
                one -> one.2 != '' OR one.1 = 'everyone',
                [
                    ('everyone', ''), ('team', toString(team)), ('user', toString(user_id)), ('project', toString(project)),
                    ('model', toString(model)), ('version', toString(service_version))
                ]) AS dim
            GROUP BY measure, thing, dim, bucket
        )
        GROUP BY measure, thing, dim
        HAVING sum(ns) >= {least:UInt32} OR dimension = 'user'
    )
)
-- All of a thing are wanted when one is odd, to see whose it is; and what is always there.
WHERE has_odd OR dimension = 'everyone' OR measure = 'requests'
