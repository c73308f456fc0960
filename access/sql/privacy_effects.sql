-- What the privacy rules have left their mark on, in a sample of a period's log records: what was redacted and hashed, and where.
WITH
    sample AS (
        SELECT LogAttributes
        FROM otel_logs
        WHERE Timestamp >= {from:DateTime64(6, 'UTC')} AND Timestamp < {to:DateTime64(6, 'UTC')}
        LIMIT {limit:UInt64}
    )
SELECT
    what,
    key AS attribute,
    count() AS records,
    round(100 * records / (SELECT count() FROM sample), 1) AS percent
FROM sample
ARRAY JOIN mapKeys(LogAttributes) AS key, mapValues(LogAttributes) AS value
ARRAY JOIN arrayDistinct(arrayConcat(
    arrayMap(rule -> concat('redacted: ', rule), arrayFilter(rule -> rule != '', arrayMap(
        after -> extract(after, '^([a-z0-9_]{1,40})\\]'), arraySlice(splitByString('[REDACTED:', value), 2)))),
    if(match(value, '^(?:hmac-)?sha256:[0-9a-f]{64}'), ['hashed'], []))) AS what
GROUP BY what, key
ORDER BY records DESC, what, attribute
LIMIT 100
