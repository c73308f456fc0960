/*
question: Which versions of which client are in use, where, and does one do better than another?
topic: people
needs: [events]
note: >
  With `version` and `before_version` these two are compared; `compare` adds durations and the time to the first token.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  version: {default: '', meaning: 'this version only, and before_version; empty: all'}
  before_version: {default: '', meaning: 'the version to compare with; empty: none'}
columns:
  service: claude-code, claude-code-desktop or cowork
  version: the client's version
  terminal: where it runs
  sessions: sessions of it
  users: people with one
  failures_per_session: failures in one, on average
  failures_before: the same of before_version, where it is the same client; empty without it
  change_percent: how many more or fewer; empty without before_version, or when it had none
  tools_failed_percent: the share of tool calls that failed
  api_errors_percent: the share of model requests that failed for good
  usd_per_request: cost of a request, on average
  last_seen: when the last event was, UTC
wide: [api_errors_percent, usd_per_request, tools_failed_percent]
example: {service: claude-code, version: 2.1.197, terminal: vscode, sessions: 88, users: 31, failures_per_session: 1.2, failures_before: 0.9, change_percent: 33.3, tools_failed_percent: 4.1, api_errors_percent: 0.6, usd_per_request: 0.0202, last_seen: '2026-11-22 17:02:11'}
*/
WITH
    merged AS (
        SELECT
            session_id,
            max(service_name) AS service,
            max(service_version) AS client_version,
            max(terminal_type) AS terminal,
            max(user_id) AS user,
            max(team) AS team_name,
            max(project) AS project_name,
            sum(failures) AS failed,
            sum(tool_calls) AS calls,
            sum(tools_failed) AS calls_failed,
            sum(requests) AS answered,
            sum(api_errors) AS refused,
            sum(telemetry_sessions.unpriced) AS costless,
            sum(cost_nanos) AS nanos,
            min(started) AS begun,
            max(ended) AS last
        FROM telemetry_sessions
        WHERE day >= toDate({from:DateTime('UTC')}) AND day <= toDate({to:DateTime('UTC')} - toIntervalSecond(1))
        GROUP BY session_id
        HAVING last >= toStartOfHour({from:DateTime('UTC')}) AND begun < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
            AND ({team:String} = '' OR team_name = {team:String}) AND ({project:String} = '' OR project_name = {project:String})
    ),
    earlier AS (
        SELECT service, toNullable(round(avg(failed), 1)) AS failures FROM merged WHERE client_version = {before_version:String} AND {before_version:String} != '' GROUP BY service
    )
SELECT
    service,
    client_version AS version,
    terminal,
    count() AS sessions,
    uniqExact(user) AS users,
    round(avg(failed), 1) AS failures_per_session,
    any(earlier.failures) AS failures_before,
    round(100 * (failures_per_session - failures_before) / nullIf(failures_before, 0), 1) AS change_percent,
    round(100 * sum(calls_failed) / nullIf(sum(calls), 0), 1) AS tools_failed_percent,
    round(100 * sum(refused) / nullIf(sum(answered) + sum(refused), 0), 1) AS api_errors_percent,
    round(sum(nanos) / 1e9 / nullIf(sum(answered) - sum(costless), 0), 6) AS usd_per_request,
    toDateTime(max(last), 'UTC') AS last_seen
FROM merged
LEFT JOIN earlier USING (service)
WHERE {version:String} = '' OR client_version IN ({version:String}, {before_version:String})
GROUP BY service, version, terminal
ORDER BY sessions DESC, service, version DESC, terminal
