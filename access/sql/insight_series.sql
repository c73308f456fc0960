-- What is measured, by the hour or the day, for everyone, each team, user, project, model and client version: `n` of
-- what could happen, `k` of those in which it did; of durations and costs the sum and the sum of squares of the logarithm
-- (x, xx); `ms` and `usd` are what they took. From the roll-up, but for the same call that fails again, and what spans alone
-- know. Rows are added up by what they are about before they are put under measures: that is most of the work.
WITH
    {from:DateTime('UTC')} AS begin,
    {to:DateTime('UTC')} AS ending,
    -- As JSON: drivers escape the quotation marks in an array.
    JSONExtract({only:String}, 'Array(String)') AS wanted,
    arrayMap(one -> substring(one, position(one, ': ') + 2), wanted) AS things,
    -- What nothing is wanted of is not read: these are constants. All is asked for in three groups, since each takes memory.
    arrayMap(one -> substring(one, 1, position(one, ': ') - 1), wanted) AS kinds,
    if(empty(wanted), {group:String} = 'tools', hasAny(kinds, ['tool fails', 'tool time'])) AS wants_tools,
    if(empty(wanted), {group:String} = 'others', has(kinds, 'loops')) AS wants_loops,
    if(empty(wanted), {group:String} = 'others', hasAny(kinds, ['hook time', 'hook fails', 'hook blocks', 'connection', 'refusals'])) AS wants_others,
    if(empty(wanted), {group:String} = 'requests', hasAny(kinds, ['api', 'model', 'request time', 'first token', 'request cost', 'cache', 'requests'])) AS wants_requests,
    if(empty(wanted), {group:String} = 'requests', hasAny(kinds, ['compactions', 'subagents', 'requests'])) AS wants_prompts,
    if(empty(wanted), {group:String} = 'requests', hasAny(kinds, ['first token', 'retries', 'wait'])) AS wants_spans,
    if(empty(wanted), {group:String} = 'requests', has(kinds, 'agent cost')) AS wants_agents,
    if(empty(wanted), {group:String} = 'requests', has(kinds, 'answers')) AS wants_answers,
    measured AS (
        SELECT toUnixTimestamp(toStartOfInterval(hour, toIntervalSecond({bucket:UInt32}))) AS bucket, *
        FROM telemetry_measures
        WHERE hour >= toStartOfHour(begin) AND hour < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
    ),
    (SELECT arrayFilter(code -> code != '', groupUniqArray(40)(toString(part))) FROM measured WHERE event_type = 'api_error') AS codes,
    (SELECT arrayFilter(name -> name != '', groupUniqArray(40)(toString(thing))) FROM measured WHERE event_type = 'api_request') AS models,
    -- A call that failed three times with the same input was made again for nothing, each time but the first.
    again AS (
        SELECT
            toUnixTimestamp(toStartOfInterval(call.1, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, service_version, thing, call.2 AS ms
        FROM (
            SELECT
                any(e.user_id) AS user_id, any(e.team) AS team, any(e.project) AS project, any(e.service_version) AS service_version,
                concat(any(tool_name), if(any(command) = '', '', concat(' ', any(command)))) AS thing,
                arraySort(groupArray((toDateTime(timestamp, 'UTC'), ifNull(duration_ms, 0)))) AS calls
            FROM telemetry_events AS e
            WHERE wants_loops AND event_type = 'tool_result' AND failure != '' AND input_id != 0 AND timestamp >= begin AND timestamp < ending
                AND ({team:String} = '' OR e.team = {team:String}) AND ({user:String} = '' OR e.user_id = {user:String}) AND ({project:String} = '' OR e.project = {project:String})
            GROUP BY input_id
            HAVING length(calls) >= 3
        )
        ARRAY JOIN arraySlice(calls, 2) AS call
        WHERE empty(things) OR has(things, thing)
    ),
    -- Tools are most of the rows. They are grouped by hashes: names and people are looked up when they are one to a series.
    tool_names AS (
        SELECT
            cityHash64(thing, part, mcp_server_name) AS name_id,
            arrayFilter(
                name -> name != '' AND (empty(things) OR has(things, name)),
                [any(toString(thing)), if(any(part) = '', '', concat(any(thing), ' ', any(part))), if(any(mcp_server_name) = '', '', concat('MCP server ', any(mcp_server_name)))]) AS names
        FROM measured
        WHERE wants_tools AND event_type = 'tool_result'
        GROUP BY name_id
        HAVING notEmpty(names)
    ),
    tool_values AS (
        SELECT dim.1 AS dimension, arrayJoin(dim.2) AS value, cityHash64(dimension, value) AS value_id
        FROM (
            SELECT
                groupUniqArray(toString(team)) AS teams, groupUniqArray(toString(user_id)) AS users,
                groupUniqArray(toString(project)) AS projects, groupUniqArray(toString(service_version)) AS versions
            FROM measured
            WHERE wants_tools AND event_type = 'tool_result'
        )
        ARRAY JOIN [('everyone', ['']), ('team', teams), ('user', users), ('project', projects), ('version', versions)] AS dim
        WHERE value != '' OR dimension = 'everyone'
    ),
    tools AS (
        SELECT
            name, value_id,
            arraySort(groupArray((bucket, calls, failed, timed, x, xx, failed_ms, ms))) AS found
        FROM (
            SELECT
                bucket, name, value_id, sum(c.calls) AS calls, sum(c.failed) AS failed, sum(c.timed) AS timed,
                sum(c.x) AS x, sum(c.xx) AS xx, sum(c.failed_ms) AS failed_ms, sum(c.ms) AS ms
            FROM (
                SELECT
                    bucket, cityHash64(thing, part, mcp_server_name) AS name_id,
                    cityHash64('team', team) AS of_team, cityHash64('user', user_id) AS of_user,
                    cityHash64('project', project) AS of_project, cityHash64('version', service_version) AS of_version,
                    multiIf(
                        grouping(of_team) = 0, of_team, grouping(of_user) = 0, of_user, grouping(of_project) = 0, of_project,
                        grouping(of_version) = 0, of_version, cityHash64('everyone', '')) AS value_id,
                    sum(events) AS calls, sum(failures) AS failed, sum(measured.timed) AS timed, sum(log_ms) AS x, sum(log_ms_squared) AS xx,
                    sum(measured.failed_ms) AS failed_ms, sum(duration_ms) AS ms
                FROM measured
                WHERE wants_tools AND event_type = 'tool_result' AND name_id IN (SELECT name_id FROM tool_names)
                GROUP BY GROUPING SETS (
                    (bucket, name_id, of_team), (bucket, name_id, of_user), (bucket, name_id, of_project), (bucket, name_id, of_version),
                    (bucket, name_id))
            ) AS c
            INNER JOIN (SELECT name_id, arrayJoin(names) AS name FROM tool_names) AS named USING (name_id)
            GROUP BY bucket, name, value_id
        )
        GROUP BY name, value_id
    ),
    others AS (
        SELECT
            bucket, event_type, toString(measured.thing) AS name,
            multiIf(grouping(team) = 0, 'team', grouping(user_id) = 0, 'user', grouping(project) = 0, 'project', grouping(service_version) = 0, 'version', 'everyone') AS dimension,
            concat(team, user_id, project, service_version) AS value,
            sum(events) AS times, sum(failures) AS failed, sum(refusals) AS refused, sum(log_ms) AS x, sum(log_ms_squared) AS xx,
            sum(duration_ms) AS ms, sum(measured.failed_ms) AS failed_ms
        FROM measured
        WHERE wants_others AND event_type IN ('hook_execution_complete', 'mcp_server_connection', 'tool_decision') AND (empty(things) OR has(things, measured.thing))
        GROUP BY GROUPING SETS (
            (bucket, event_type, measured.thing, team), (bucket, event_type, measured.thing, user_id), (bucket, event_type, measured.thing, project),
            (bucket, event_type, measured.thing, service_version), (bucket, event_type, measured.thing))
        HAVING value != '' OR dimension = 'everyone'
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
        WHERE wants_requests AND event_type IN ('api_request', 'api_error')
        GROUP BY bucket, user_id, team, project, service_version, model_name
    ),
    prompts AS (
        SELECT
            bucket, user_id, team, project, service_version,
            sumIf(events, event_type = 'user_prompt') AS asked,
            sumIf(events, event_type = 'compaction') AS compacted,
            greatest(sumIf(events, event_type = 'subagent_completed'), sumIf(events, event_type = 'tool_result')) AS agents
        FROM measured
        WHERE wants_prompts AND (event_type IN ('user_prompt', 'compaction', 'subagent_completed') OR (event_type = 'tool_result' AND thing IN ('Agent', 'Task')))
        GROUP BY bucket, user_id, team, project, service_version
    ),
    waits AS (
        SELECT
            toUnixTimestamp(toStartOfInterval(timestamp, toIntervalSecond({bucket:UInt32}))) AS bucket,
            span_type, user_id, team, project, service_version, replaceOne(model, '[1m]', '') AS model_name,
            count() AS times, sum(log(greatest(ifNull(duration_ms, 1), 1)) AS logged) AS x, sum(logged * logged) AS xx, sum(ifNull(duration_ms, 0)) AS ms,
            countIf(ttft_ms > 0) AS ttft_timed, sumIf(log(greatest(ifNull(ttft_ms, 1), 1)) AS logged_first, ttft_ms > 0) AS x_first,
            sumIf(logged_first * logged_first, ttft_ms > 0) AS xx_first, sumIf(ifNull(s.ttft_ms, 0), s.ttft_ms > 0) AS first_ms,
            sum(greatest(ifNull(attempt, 1), 1) - 1) AS retries, sumIf(ifNull(duration_ms, 0), attempt > 1) AS retried_ms
        FROM telemetry_spans AS s
        WHERE wants_spans AND ((span_type = 'llm_request' AND ifNull(success, true)) OR (span_type = 'tool.blocked_on_user' AND startsWith(decision_source, 'user')))
            AND timestamp >= begin AND timestamp < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY bucket, span_type, user_id, team, project, service_version, model_name
    ),
    -- Those of few rows: they are added up by what they are about after they are put under measures.
    few AS (
        SELECT bucket, user_id, team, project, service_version, toString(model_name) AS model, arrayJoin(arrayConcat(
            arrayMap(code -> ('api', code, tried, toFloat64(failed[code]), 0., 0., failed_ms[code], 0.), codes),
            if(answered = 0, [], arrayMap(name -> ('model', name, answered, toFloat64(if(model_name = name, answered, 0)), 0., 0., 0., if(model_name = name, requests.usd, 0.)), models)),
            if(answered = 0, [], [
                ('request time', toString(model_name), timed, 0., requests.x, requests.xx, requests.ms, 0.),
                ('first token', toString(model_name), ttft_timed, 0., x_first, xx_first, requests.ttft_ms, 0.),
                ('request cost', '', priced, 0., x_cost, xx_cost, 0., requests.usd),
                ('cache', '', cacheable, 0., x_cache, xx_cache, 0., requests.usd),
                ('requests', '', 0, toFloat64(answered), 0., 0., 0., requests.usd)]))) AS one
        FROM requests
        UNION ALL
        SELECT bucket, user_id, team, project, service_version, '', arrayJoin([
            ('compactions', '', asked, toFloat64(compacted), 0., 0., 0., 0.),
            ('subagents', '', asked, toFloat64(agents), 0., 0., 0., 0.),
            ('requests', '', asked, 0., 0., 0., 0., 0.)])
        FROM prompts
        UNION ALL
        SELECT bucket, user_id, team, project, service_version, '', ('loops', thing, toUInt64(0), toFloat64(count()), 0., 0., sum(ms), 0.)
        FROM again
        GROUP BY bucket, user_id, team, project, service_version, thing
        UNION ALL
        SELECT bucket, user_id, team, project, service_version, '', ('loops', named, sum(repeatable), 0., 0., 0., 0., 0.)
        FROM (SELECT *, concat(thing, if(part = '', '', concat(' ', part))) AS named FROM measured WHERE wants_loops AND event_type = 'tool_result')
        WHERE named IN (SELECT thing FROM again)
        GROUP BY bucket, user_id, team, project, service_version, named
        UNION ALL
        SELECT bucket, user_id, team, project, service_version, model_name, arrayJoin(if(
            span_type = 'llm_request',
            [
                ('first token', model_name, ttft_timed, 0., x_first, xx_first, first_ms, 0.),
                ('retries', model_name, times, toFloat64(retries), 0., 0., retried_ms, 0.)],
            [('wait', '', times, 0., waits.x, waits.xx, ms, 0.)]))
        FROM waits
        UNION ALL
        SELECT bucket, user_id, team, project, '', '', ('agent cost', toString(agent_name), toUInt64(count()), 0., sum(logged), sum(logged * logged), 0., sum(agents.usd))
        FROM agents
        GROUP BY bucket, user_id, team, project, agent_name
        UNION ALL
        SELECT bucket, user_id, team, project, service_version, toString(model_name), ('answers', '', toUInt64(count()), 0., sum(logged), sum(logged * logged), 0., 0.)
        FROM answers
        GROUP BY bucket, user_id, team, project, service_version, model_name
    ),
    -- A subagent's requests in an hour of one person, whose mean is one value: the roll-up has no squares of them.
    agents AS (
        SELECT
            toUnixTimestamp(toStartOfInterval(hour, toIntervalSecond({bucket:UInt32}))) AS bucket,
            user_id, team, project, agent_name, sum(cost_nanos) / 1e9 AS usd, log(usd / sum(events)) AS logged
        FROM telemetry_hourly
        WHERE wants_agents AND event_type = 'api_request' AND agent_name != '' AND hour >= toStartOfHour(begin) AND hour < ending
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String}) AND ({project:String} = '' OR project = {project:String})
        GROUP BY hour, user_id, team, project, agent_name
        HAVING usd > 0
    ),
    -- Likewise the tokens of an answer.
    answers AS (
        SELECT bucket, hour, user_id, team, project, service_version, thing AS model_name, log(sum(output_tokens) / sum(events)) AS logged
        FROM measured
        WHERE wants_answers AND event_type = 'api_request'
        GROUP BY bucket, hour, user_id, team, project, service_version, model_name
        HAVING sum(output_tokens) > 0
    ),
    cells AS (
        SELECT
            one.1 AS measure, one.2 AS thing, dim.1 AS dimension, dim.2 AS value, bucket,
            sum(ifNull(one.3, 0)) AS n, sum(ifNull(one.4, 0)) AS k, sum(ifNull(one.5, 0)) AS x, sum(ifNull(one.6, 0)) AS xx,
            sum(ifNull(one.7, 0)) AS ms, sum(ifNull(one.8, 0)) AS usd
        FROM (SELECT * FROM few WHERE empty(wanted) OR has(wanted, concat(one.1, ': ', one.2)))
        ARRAY JOIN arrayFilter(
            one -> one.2 != '' OR one.1 = 'everyone',
            [
                ('everyone', ''), ('team', toString(team)), ('user', toString(user_id)), ('project', toString(project)),
                ('model', toString(model)), ('version', toString(service_version))
            ]) AS dim
        GROUP BY measure, thing, dimension, value, bucket
        UNION ALL
        SELECT one.1 AS measure, name, dimension, value, bucket, times, one.2, one.3, one.4, one.5, 0.
        FROM others
        ARRAY JOIN multiIf(
            event_type = 'hook_execution_complete', [
                ('hook time', 0., others.x, others.xx, others.ms),
                ('hook fails', toFloat64(failed), 0., 0., others.ms * failed / times),
                ('hook blocks', toFloat64(refused), 0., 0., others.ms * refused / times)],
            event_type = 'mcp_server_connection', [('connection', toFloat64(failed), 0., 0., failed_ms)],
            [('refusals', toFloat64(refused), 0., 0., 0.)]) AS one
        WHERE empty(wanted) OR has(wanted, concat(one.1, ': ', name))
    ),
    series AS (
        SELECT measure, thing, dimension, value, arraySort(groupArray((bucket, n, k, x, xx, ms, usd))) AS steps
        FROM cells
        GROUP BY measure, thing, dimension, value
        UNION ALL
        SELECT
            kind, name, dimension, value,
            arrayMap(
                one -> if(kind = 'tool fails', (one.1, one.2, toFloat64(one.3), 0., 0., one.7, 0.), (one.1, one.4, 0., one.5, one.6, one.8 - one.7, 0.)),
                found)
        FROM tools
        INNER JOIN tool_values USING (value_id)
        ARRAY JOIN ['tool fails', 'tool time'] AS kind
        WHERE empty(wanted) OR has(wanted, concat(kind, ': ', name))
    )
SELECT measure, thing, dimension, value, steps
FROM (
    SELECT measure, thing, dimension, value, steps,
        measure LIKE '% time' OR measure IN ('first token', 'wait', 'cache', 'request cost', 'agent cost', 'answers') AS is_mean,
        arrayCumSum(steps.2) AS ns,
        arrayCumSum(if(is_mean, steps.4, steps.3)) AS ks,
        -- Roughly by how many standard deviations what follows a step differs from the steps before it, and by how
        -- many a step differs from all: what is ordinary by this is not looked at more closely.
        greatest(ns[-1], 1) AS whole,
        greatest((arraySum(steps.5) - pow(ks[-1], 2) / whole) / whole, 1e-4) AS variance,
        arrayMax(arrayMap(
            (past, happened) -> if(past <= 0 OR past >= whole, 0., if(
                is_mean,
                ((ks[-1] - happened) / (whole - past) - happened / past) / sqrt(variance * (1 / past + 1 / (whole - past))),
                (ks[-1] - happened - (happened + 0.5) / past * (whole - past))
                    / sqrt((happened + 0.5) / past * (whole - past) * (1 + (whole - past) / past)))),
            ns, ks)) AS after,
        arrayMax(arrayMap(
            (some, times, sum_x) -> if(some <= 0, 0., if(
                is_mean,
                (sum_x / some - ks[-1] / whole) / sqrt(variance / some),
                (times - ks[-1] / whole * some) / sqrt(greatest(ks[-1] / whole * some, 0.5)))),
            steps.2, steps.3, steps.4)) AS alone,
        greatest(after, alone - 2) >= {odd:Float64} AS is_odd
    FROM series
    WHERE arraySum(steps.2) >= {least:UInt32} OR dimension = 'user'
)
-- What is always there is everyone's, and requests are what people's days cost.
WHERE is_odd OR dimension = 'everyone' OR measure = 'requests'
