/*
question: Whose edits are accepted, in which language, and by whom?
topic: people
needs: [metrics]
note: >
  From metrics: events do not name the language.
empty: 'no edit was proposed in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
columns:
  language: the programming language of the file
  tool: Edit, Write or NotebookEdit
  by: 'people; config: settings, a mode or an earlier answer; hook'
  accepted: edits that were allowed
  rejected: edits that were refused
  accept_percent: the share that was allowed
  before: 'edits that were refused in the period of the same length before; empty when no metric was recorded then'
  change_percent: how much more or less; empty without one before
  before_percent: the share that was allowed in the period before
wide: [before, change_percent, before_percent]
example: {language: Python, tool: Edit, by: people, accepted: 120, rejected: 8, accept_percent: 93.8, before: 6, change_percent: 33.3, before_percent: 94.1}
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
            FROM otel_metrics_sum
            WHERE MetricName LIKE 'claude\\_code.%' AND TimeUnix >= begins_before AND TimeUnix < begins
                AND ({team:String} IN (
                    '', ResourceAttributes['team.id'], ResourceAttributes['team'], Attributes['team.id'], Attributes['team']))
                AND ({user:String} IN (
                    '', Attributes['user.email'], Attributes['enduser.id'], Attributes['user.id'], Attributes['user.account_uuid']))
                AND ({project:String} IN (
                    '', ResourceAttributes['project'], ResourceAttributes['project.name'], Attributes['project'],
                    Attributes['vcs.repository.name']))
            LIMIT 1
        )
    ) AS was_recorded
SELECT
    language,
    tool_name AS tool,
    if(startsWith(decision_source, 'user_'), 'people', decision_source) AS by,
    sumIf(increment, decision = 'accept' AND time >= begins) AS accepted,
    sumIf(increment, decision = 'reject' AND time >= begins) AS rejected,
    round(100 * accepted / nullIf(accepted + rejected, 0), 1) AS accept_percent,
    if(was_recorded, sumIf(increment, decision = 'reject' AND time < begins), NULL) AS before,
    round(100 * (rejected - before) / nullIf(before, 0), 1) AS change_percent,
    round(100 * sumIf(increment, decision = 'accept' AND time < begins) / nullIf(sumIf(increment, time < begins), 0), 1) AS before_percent
FROM telemetry_metric_increments_of(from = begins_before, to = ends, metrics = ['code_edit_tool.decision'])
WHERE ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR project = {project:String})
GROUP BY language, tool, by
HAVING countIf(time >= begins) > 0
ORDER BY accepted + rejected DESC, language, tool, by
