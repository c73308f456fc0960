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
  before: 'minutes in the period of the same length before; empty when no span was recorded then'
  change_percent: how much more or less; empty without one before
  before_p95_seconds: what nineteen of twenty waited no longer than in the period before
wide: [before, change_percent, before_p95_seconds]
example: {tool: Bash, decision_source: user_temporary, waits: 88, p50_seconds: 4.1, p95_seconds: 71.3, minutes: 22.8, percent: 61.2, sessions: 30, before: 20.1, change_percent: 13.4, before_p95_seconds: 64.2}
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
            FROM telemetry_spans
            WHERE timestamp >= begins_before AND timestamp < begins
                AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
                AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String}))
            LIMIT 1
        )
    ) AS was_recorded,
    quantilesExactOrNullIf(0.5, 0.95)(waited, is_now) AS took
SELECT
    tool_name AS tool,
    decision_source,
    countIf(is_now) AS waits,
    if(empty(took), NULL, round(took[1] / 1000, 1)) AS p50_seconds,
    if(empty(took), NULL, round(took[2] / 1000, 1)) AS p95_seconds,
    round(sumIf(waited, is_now) / 60000, 1) AS minutes,
    round(100 * sumIf(waited, is_now) / sum(sumIf(waited, is_now)) OVER (), 1) AS percent,
    uniqExactIf(cityHash64(session_id), is_now) AS sessions,
    if(was_recorded, round(ifNull(sumIf(waited, NOT is_now), 0) / 60000, 1), NULL) AS before,
    round(100 * (minutes - before) / nullIf(before, 0), 1) AS change_percent,
    round(quantileExactOrNullIf(0.95)(waited, NOT is_now) / 1000, 1) AS before_p95_seconds
FROM (
    SELECT span_id, tool_name
    FROM telemetry_spans
    -- A tool's span begins before the wait in it.
    WHERE span_type = 'tool' AND timestamp >= begins_before - toIntervalDay(1) AND timestamp < ends
) AS tools
RIGHT JOIN (
    SELECT parent_span_id, decision_source, duration_ms AS waited, session_id, timestamp >= begins AS is_now
    FROM telemetry_spans
    WHERE span_type = 'tool.blocked_on_user' AND decision_source NOT IN ('config', 'hook') AND timestamp >= begins_before AND timestamp < ends
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
        AND ({project:String} = '' OR session_id IN (SELECT session_id FROM telemetry_sessions WHERE project = {project:String}))
) AS waits ON waits.parent_span_id = tools.span_id
GROUP BY tool, decision_source
HAVING waits > 0
ORDER BY sumIf(waited, is_now) DESC, tool, decision_source
