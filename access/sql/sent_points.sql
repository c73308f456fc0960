-- Whether a period has any data point of Claude Code's counters, 0 or 1.
SELECT count()
FROM (
    SELECT 1
    FROM otel_metrics_sum
    WHERE startsWith(MetricName, 'claude_code.') AND TimeUnix >= {from:DateTime('UTC')} AND TimeUnix < {to:DateTime('UTC')}
    LIMIT 1
)
