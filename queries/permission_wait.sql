/*
question: How long do tools wait for a person to allow them?
topic: speed
needs: [events, traces]
note: >
  From spans, which clients send when traces are switched on. Waits that settings or a hook ended are not counted.
empty: 'no tool waited for a person in this period: calls that a rule decides do not wait'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  tool: the tool's name
  decision_source: who decided, as the span says
  waits: how often one waited
  p50_seconds: half waited no longer
  p95_seconds: nineteen of twenty waited no longer
  minutes: the time that all of them waited
  percent: their share of all waiting
  sessions: sessions in which one waited
example: {tool: Bash, decision_source: user_temporary, waits: 88, p50_seconds: 4.1, p95_seconds: 71.3, minutes: 22.8, percent: 61.2, sessions: 30}
*/
WITH quantilesExactOrNull(0.5, 0.95)(waited) AS took
SELECT
    tool_name AS tool,
    decision_source,
    count() AS waits,
    if(empty(took), NULL, round(took[1] / 1000, 1)) AS p50_seconds,
    if(empty(took), NULL, round(took[2] / 1000, 1)) AS p95_seconds,
    round(sum(waited) / 60000, 1) AS minutes,
    round(100 * sum(waited) / sum(sum(waited)) OVER (), 1) AS percent,
    uniqExact(cityHash64(session_id)) AS sessions
FROM (
    SELECT span_id, tool_name
    FROM telemetry_spans
    -- A tool's span begins before the wait in it.
    WHERE span_type = 'tool' AND timestamp >= {from:DateTime('UTC')} - toIntervalDay(1) AND timestamp < {to:DateTime('UTC')}
) AS tools
RIGHT JOIN (
    SELECT parent_span_id, decision_source, duration_ms AS waited, session_id
    FROM telemetry_spans
    WHERE span_type = 'tool.blocked_on_user' AND decision_source NOT IN ('config', 'hook') AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
        AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String}))
) AS waits ON waits.parent_span_id = tools.span_id
GROUP BY tool, decision_source
ORDER BY sum(waited) DESC, tool, decision_source
