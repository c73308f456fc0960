/*
question: What is spent on repeated work?
topic: cost
needs: [events, tool-details, traces]
note: >
  Equal input is known by its hash, so nothing is shown of it. A file that was edited in between is worth reading again; this cannot tell.
  What the client tried again, and what it refused by itself, is known from traces alone. Refused by the client: the model asked for a tool,
  and no call of a tool followed; an interruption by a person, and spans that were lost, look the same.
empty: 'no repeated work is known in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  repeats: {default: 3, meaning: 'how often the same call has to fail in a session to be a loop'}
columns:
  pattern: 'retry loop: the same call failed again and again; read again: a call that looks things up was repeated with the same input; compacted again: a session that was compacted three times or more; retries exhausted: requests that were tried to the last; tried again: requests that were answered at a later try; refused by the client: the model asked for a tool and none was called'
  what: the tool, its program, or the status
  sessions: sessions in which it happened
  wasted: calls, compactions or tries that brought nothing new
  mb_again: megabytes that were read again
  usd: 'what they cost: a model request of the session, at its average, for each; retries cost nothing but time'
  minutes: the time that they took
  worst_session: the session with the most
  before: 'wasted in the period of the same length before; empty when nothing was recorded then'
  change_percent: how much more or less; empty without one before
  before_usd: usd in the period before
wide: [before, change_percent, before_usd]
example: {pattern: retry loop, what: Bash pytest, sessions: 6, wasted: 31, mb_again: 0.2, usd: 0.71, minutes: 12.1, worst_session: 6f1c0b1e-…, before: 20, change_percent: 55, before_usd: 0.44}
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
    pattern IN ('retries exhausted', 'tried again') AS is_free,
    per_request AS (
        SELECT session_id, sum(cost_nanos) / 1e9 / nullIf(sum(requests) - sum(unpriced), 0) AS usd
        FROM telemetry_sessions
        WHERE day >= toDate(begins) AND day <= toDate(ends - toIntervalSecond(1))
        GROUP BY session_id
    ),
    per_request_before AS (
        SELECT session_id, sum(cost_nanos) / 1e9 / nullIf(sum(requests) - sum(unpriced), 0) AS usd
        FROM telemetry_sessions
        WHERE day >= toDate(begins_before) AND day <= toDate(begins - toIntervalSecond(1))
        GROUP BY session_id
    ),
    repeated AS (
        SELECT input_id
        FROM telemetry_events
        WHERE event_type = 'tool_result' AND input_id != 0 AND timestamp >= begins_before AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY input_id
        HAVING count() > 1
    ),
    calls AS (
        SELECT
            any(session_id) AS session_id,
            timestamp >= begins AS is_now,
            any(tool_name) AS tool,
            any(command) AS program,
            countIf(success = false) AS failed,
            countIf(success) AS succeeded,
            sumIf(duration_ms, success = false) AS ms_failed,
            sumIf(duration_ms, success) AS ms_succeeded,
            sumIf(result_bytes, success) AS bytes,
            tool IN ('Read', 'Grep', 'Glob', 'LS', 'WebFetch', 'WebSearch', 'NotebookRead') AS looks_up
        FROM telemetry_events
        WHERE event_type = 'tool_result' AND timestamp >= begins_before AND timestamp < ends
            AND input_id IN repeated
        GROUP BY input_id, is_now
        HAVING failed >= {repeats:UInt64} OR (looks_up AND succeeded > 1)
    ),
    -- A request that ended by asking for a tool, and no tool was called before the next request to that model. Times and
    -- names are numbers here, of which arrays are filled and searched faster.
    refused AS (
        WITH toUnixTimestamp64Nano(timestamp) AS moment, replaceOne(model, '[1m]', '') AS name
        SELECT
            any(session_id) AS session,
            timestamp >= begins AS is_now,
            groupUniqArrayIf(name, span_type = 'llm_request') AS names,
            arrayZip(
                groupArrayIf(moment, span_type = 'llm_request'),
                groupArrayIf(cityHash64(name), span_type = 'llm_request'),
                groupArrayIf(stop_reason = 'tool_use', span_type = 'llm_request')) AS asked,
            groupArrayIf(moment, span_type = 'tool') AS called,
            arrayFilter(
                one -> one.3 AND NOT arrayExists(
                    call -> call >= one.1 AND NOT arrayExists(next -> next.2 = one.2 AND next.1 > one.1 AND next.1 <= call, asked), called),
                asked) AS unanswered
        FROM telemetry_spans
        WHERE span_type IN ('llm_request', 'tool') AND timestamp >= begins_before AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String}))
        GROUP BY cityHash64(trace_id, parent_span_id), is_now
        HAVING notEmpty(unanswered)
    ),
    found AS (
        SELECT
            one.1 AS pattern, trimRight(concat(tool, ' ', program)) AS what, session_id, is_now, one.2 AS times, one.3 AS again,
            one.4 AS ms
        FROM calls
        ARRAY JOIN arrayFilter(found -> found.2 > 0, [
            ('retry loop', toFloat64(if(failed >= {repeats:UInt64}, failed - 1, 0)), 0., ms_failed * (failed - 1) / failed),
            ('read again', toFloat64(if(looks_up AND succeeded > 1, succeeded - 1, 0)), bytes * (succeeded - 1) / succeeded,
                ms_succeeded * (succeeded - 1) / succeeded)]) AS one
        UNION ALL
        SELECT 'compacted again', attributes['trigger'], session_id, timestamp >= begins AS is_now, toFloat64(count() - 1), 0., sum(duration_ms) * (count() - 1) / count()
        FROM telemetry_events
        WHERE event_type = 'compaction' AND timestamp >= begins_before AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY attributes['trigger'], session_id, is_now
        HAVING count() >= 3
        UNION ALL
        SELECT 'retries exhausted', concat('api ', api_error_code), session_id, timestamp >= begins AS is_now, toFloat64(sum(attempt)), 0., sum(duration_ms)
        FROM telemetry_events
        WHERE event_type = 'api_retries_exhausted' AND timestamp >= begins_before AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY api_error_code, session_id, is_now
        UNION ALL
        SELECT 'tried again', replaceOne(model, '[1m]', ''), session_id, timestamp >= begins AS is_now, toFloat64(sum(attempt) - count()), 0., sum(duration_ms)
        FROM telemetry_spans
        WHERE span_type = 'llm_request' AND attempt > 1 AND ifNull(success, true)
            AND timestamp >= begins_before AND timestamp < ends
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String}))
        GROUP BY model, session_id, is_now
        UNION ALL
        SELECT 'refused by the client', arrayFirst(name -> cityHash64(name) = one.2, names) AS name, session, is_now, toFloat64(count()), 0., 0.
        FROM refused
        ARRAY JOIN unanswered AS one
        GROUP BY name, session, is_now
    )
SELECT
    pattern,
    what,
    uniqExactIf(cityHash64(session_id), is_now) AS sessions,
    sumIf(times, is_now) AS wasted,
    round(sumIf(again, is_now) / 1e6, 2) AS mb_again,
    round(ifNull(sumIf(times * per_request.usd, is_now AND NOT is_free), 0), 4) AS usd,
    round(sumIf(ms, is_now) / 60000, 1) AS minutes,
    argMaxIf(session_id, (times, session_id), is_now) AS worst_session,
    if(was_recorded, ifNull(sumIf(times, NOT is_now), 0), NULL) AS before,
    round(100 * (wasted - before) / nullIf(before, 0), 1) AS change_percent,
    if(was_recorded, round(ifNull(sumIf(times * per_request_before.usd, NOT is_now AND NOT is_free), 0), 4), NULL) AS before_usd
FROM found
LEFT JOIN per_request USING (session_id)
LEFT JOIN per_request_before USING (session_id)
GROUP BY pattern, what
HAVING countIf(is_now) > 0
ORDER BY usd DESC, wasted DESC, pattern, what
