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
example: {language: Python, tool: Edit, by: people, accepted: 120, rejected: 8, accept_percent: 93.8}
*/
SELECT
    language,
    tool_name AS tool,
    if(startsWith(decision_source, 'user_'), 'people', decision_source) AS by,
    sumIf(increment, decision = 'accept') AS accepted,
    sumIf(increment, decision = 'reject') AS rejected,
    round(100 * accepted / nullIf(accepted + rejected, 0), 1) AS accept_percent
FROM telemetry_metric_increments(from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')})
WHERE metric = 'code_edit_tool.decision'
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR project = {project:String})
GROUP BY language, tool, by
ORDER BY accepted + rejected DESC, language, tool, by
