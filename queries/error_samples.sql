/*
question: What do the failures of a category look like?
topic: errors
needs: [events, tool-details]
empty: 'nothing of that category failed in this period'
parameters:
  category: {default: '', meaning: 'a category as `errors` names it; empty: all'}
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
  limit: {default: 20, meaning: 'how many, the latest first'}
columns:
  time: when it happened, UTC
  category: its category
  tool: the tool, if one failed
  program: what a shell tool ran
  model: the model, if a request failed
  message: the message, redacted, cut to its first line
  attempts: how often a request was tried
  version: the client's version
  user: whose session it was
  session: the session; `session` shows the rest of it
  prompt: the id of the prompt
wide: [prompt, version, attempts, model, tool, program]
example: {time: '2026-11-22 17:02:11.022', category: tool Bash ShellError, tool: Bash, program: pytest, model: '', message: Command failed with exit code 1, attempts: null, version: 2.1.197, user: 'sha256:9b1f…', session: 6f1c0b1e-…, prompt: 9cb9600d-…}
*/
SELECT
    toDateTime64(timestamp, 3, 'UTC') AS time,
    failure AS category,
    tool_name AS tool,
    command AS program,
    model,
    concat(api_error_message, error_message) AS message,
    attempt AS attempts,
    service_version AS version,
    user_id AS user,
    session_id AS session,
    prompt_id AS prompt
FROM telemetry_events
WHERE timestamp >= toStartOfHour({from:DateTime('UTC')}) AND timestamp < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599)) AND failure != ''
    AND ({category:String} = '' OR failure = {category:String})
    AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
    AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({model:String} = '' OR telemetry_events.model = {model:String})
ORDER BY timestamp DESC, session, sequence DESC
LIMIT {limit:UInt64}
