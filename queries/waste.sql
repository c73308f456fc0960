/*
question: What is spent on repeated work?
topic: cost
needs: [events, tool-details, traces]
note: >
  Equal input is known by its hash, so nothing is shown of it. A file that was edited in between is worth reading again; this cannot tell.
  What the client tried again, and what it refused by itself, is known from traces alone. Refused by the client: the model asked for a tool,
  and no call of a tool followed; an interruption by a person, and spans that were lost, look the same.
empty: 'no work was repeated for nothing in this period'
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
example: {pattern: retry loop, what: Bash pytest, sessions: 6, wasted: 31, mb_again: 0.2, usd: 0.71, minutes: 12.1, worst_session: 6f1c0b1e-…}
*/
WITH
    per_request AS (
        SELECT session_id, sum(cost_nanos) / 1e9 / nullIf(sum(requests) - sum(unpriced), 0) AS usd
        FROM telemetry_sessions
        WHERE day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')})
        GROUP BY session_id
    ),
    repeated AS (
        SELECT input_id
        FROM telemetry_events
        WHERE event_type = 'tool_result' AND input_id != 0 AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY input_id
        HAVING count() > 1
    ),
    calls AS (
        SELECT
            any(session_id) AS session_id,
            any(tool_name) AS tool,
            any(command) AS program,
            countIf(success = false) AS failed,
            countIf(success) AS succeeded,
            sumIf(duration_ms, success = false) AS ms_failed,
            sumIf(duration_ms, success) AS ms_succeeded,
            sumIf(result_bytes, success) AS bytes,
            tool IN ('Read', 'Grep', 'Glob', 'LS', 'WebFetch', 'WebSearch', 'NotebookRead') AS looks_up
        FROM telemetry_events
        WHERE event_type = 'tool_result' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
            AND input_id IN repeated
        GROUP BY input_id
        HAVING failed >= {repeats:UInt64} OR (looks_up AND succeeded > 1)
    ),
    -- A request that ended by asking for a tool, and no tool was called before the next request to that model.
    refused AS (
        SELECT one.3 AS name, session
        FROM (
            SELECT
                any(session_id) AS session,
                arraySort(groupArrayIf((timestamp, stop_reason, replaceOne(model, '[1m]', '')), span_type = 'llm_request')) AS asked,
                groupArrayIf(timestamp, span_type = 'tool') AS called
            FROM telemetry_spans
            WHERE span_type IN ('llm_request', 'tool') AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
                AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
                AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String}))
            GROUP BY trace_id, parent_span_id
            HAVING has(asked.2, 'tool_use')
        )
        ARRAY JOIN arrayFilter(
            one -> one.2 = 'tool_use' AND NOT arrayExists(
                time -> time >= one.1 AND NOT arrayExists(next -> next.3 = one.3 AND next.1 > one.1 AND next.1 <= time, asked), called),
            asked) AS one
    ),
    found AS (
        SELECT
            one.1 AS pattern, trimRight(concat(tool, ' ', program)) AS what, session_id, one.2 AS times, one.3 AS again, one.4 AS ms
        FROM calls
        ARRAY JOIN arrayFilter(found -> found.2 > 0, [
            ('retry loop', toFloat64(if(failed >= {repeats:UInt64}, failed - 1, 0)), 0., ms_failed * (failed - 1) / failed),
            ('read again', toFloat64(if(looks_up AND succeeded > 1, succeeded - 1, 0)), bytes * (succeeded - 1) / succeeded,
                ms_succeeded * (succeeded - 1) / succeeded)]) AS one
        UNION ALL
        SELECT 'compacted again', attributes['trigger'], session_id, toFloat64(count() - 1), 0., sum(duration_ms) * (count() - 1) / count()
        FROM telemetry_events
        WHERE event_type = 'compaction' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY attributes['trigger'], session_id
        HAVING count() >= 3
        UNION ALL
        SELECT 'retries exhausted', concat('api ', api_error_code), session_id, toFloat64(sum(attempt)), 0., sum(duration_ms)
        FROM telemetry_events
        WHERE event_type = 'api_retries_exhausted' AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR telemetry_events.project = {project:String})
        GROUP BY api_error_code, session_id
        UNION ALL
        SELECT 'tried again', replaceOne(model, '[1m]', ''), session_id, toFloat64(sum(attempt) - count()), 0., sum(duration_ms)
        FROM telemetry_spans
        WHERE span_type = 'llm_request' AND attempt > 1 AND ifNull(success, true)
            AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
            AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
            AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String}))
        GROUP BY model, session_id
        UNION ALL
        SELECT 'refused by the client', name, session, toFloat64(count()), 0., 0.
        FROM refused
        GROUP BY name, session
    )
SELECT
    pattern,
    what,
    uniqExact(cityHash64(session_id)) AS sessions,
    sum(times) AS wasted,
    round(sum(again) / 1e6, 2) AS mb_again,
    round(ifNull(sumIf(times * per_request.usd, pattern NOT IN ('retries exhausted', 'tried again')), 0), 4) AS usd,
    round(sum(ms) / 60000, 1) AS minutes,
    argMax(session_id, (times, session_id)) AS worst_session
FROM found
LEFT JOIN per_request USING (session_id)
GROUP BY pattern, what
ORDER BY usd DESC, wasted DESC, pattern, what
