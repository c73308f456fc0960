/*
question: What of your own MCP servers is used, day by day, and by how many people?
topic: tools
needs: []
note: >
  Servers that the SDK measures (docs/sdk.md). People are told apart by hashes; over standard input and output there is
  no user, and the number is 0.
empty: 'no instrumented MCP server reported use in this period'
parameters:
  from: {default: 7 days ago, meaning: beginning of the period; its whole day counts}
  to: {default: now, meaning: end of the period; its whole day counts}
  server: {default: '', meaning: 'one server only, by its service name; empty: all'}
columns:
  day: the day, in UTC
  server: the server's service name
  feature: the kind and the name of what was used
  uses: how often
  failures: uses that failed
  failure_percent: their share
  users: different users
example: {day: '2026-11-28', server: shop, feature: 'tool:search', uses: 812, failures: 4, failure_percent: 0.5, users: 19}
*/
SELECT
    date AS day,
    service_name AS server,
    feature,
    sum(usage_count) AS uses,
    sum(error_count) AS failures,
    round(100 * failures / uses, 1) AS failure_percent,
    uniqMerge(unique_users) AS users
FROM feature_usage
WHERE date >= toDate({from:DateTime('UTC')}) AND date <= toDate({to:DateTime('UTC')} - toIntervalSecond(1))
    AND ({server:String} = '' OR service_name = {server:String})
GROUP BY day, server, feature
ORDER BY day, uses DESC, server, feature
