-- The rows of `benchmarks` in one: how many, how they ended, and how their durations are spread.
WITH
    quantileExact(0.25)(duration_ms) AS lower,
    quantileExact(0.75)(duration_ms) AS upper
SELECT
    count() AS count,
    uniqExact(session) AS sessions,
    countIf(success) AS successes,
    sum(error_count) AS errors,
    sum(retrieval_calls) AS calls,
    sum(tokens_in) AS tokens_input,
    sum(tokens_out) AS tokens_output,
    sum(found.unpriced) AS unpriced,
    if(unpriced > 0 AND unpriced = sum(requests), NULL, sum(nanos) / 1e9) AS cost,
    avgOrNull(duration_ms) AS mean,
    stddevPopOrNull(duration_ms) AS deviation,
    quantileExactOrNull(0.5)(duration_ms) AS p50,
    quantileExactOrNull(0.95)(duration_ms) AS p95,
    quantileExactOrNull(0.99)(duration_ms) AS p99,
    lower - 1.5 * (upper - lower) AS least,
    upper + 1.5 * (upper - lower) AS most,
    groupArraySorted(20)(-duration_ms) AS longest
FROM (/* benchmarks */) AS found
