/*
question: Where do errors come from?
topic: errors
note: >
  Error analysis: count the failures by category, read the samples of the largest category, fix it first, and ask again.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
columns:
  category: what failed, and how
  failures: how many in the period
  percent: their share of all failures
  cumulative_percent: the share of this category and all larger ones
  sessions: sessions that met it
  last_seen: when it happened last, UTC
  sample: one message, redacted, cut to its first line
example: {category: tool Bash, failures: 41, percent: 52.6, cumulative_percent: 52.6, sessions: 12, last_seen: '2026-11-22 17:02:11', sample: Command failed with exit code 1}
*/
WITH failures AS (
    SELECT
        multiIf(
            LogAttributes['event.name'] = 'tool_result', concat('tool ', LogAttributes['tool_name'],
                if(LogAttributes['error_type'] = '', '', concat(' ', LogAttributes['error_type']))),
            LogAttributes['event.name'] = 'api_error',
                concat('api ', if(LogAttributes['status_code'] IN ('', 'undefined'), 'connection', LogAttributes['status_code'])),
            LogAttributes['event.name'] = 'mcp_server_connection', 'mcp connection',
            LogAttributes['event.name']) AS category,
        LogAttributes['session.id'] AS session,
        LogAttributes['error'] AS message,
        Timestamp
    FROM otel_logs
    WHERE Timestamp >= {from:DateTime('UTC')} AND Timestamp < {to:DateTime('UTC')} AND (
        LogAttributes['event.name'] IN ('api_error', 'api_retries_exhausted', 'internal_error')
        OR (LogAttributes['event.name'] = 'tool_result' AND LogAttributes['success'] = 'false')
        OR (LogAttributes['event.name'] = 'mcp_server_connection' AND LogAttributes['status'] = 'failed'))
)
SELECT
    category,
    count() AS failures,
    round(100 * failures / sum(failures) OVER (), 1) AS percent,
    round(100 * sum(failures) OVER (ORDER BY failures DESC, category) / sum(failures) OVER (), 1) AS cumulative_percent,
    uniqExact(session) AS sessions,
    toDateTime(max(Timestamp), 'UTC') AS last_seen,
    argMax(message, (message != '', Timestamp)) AS sample
FROM failures
GROUP BY category
ORDER BY failures DESC, category
