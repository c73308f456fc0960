/*
question: What would the same use cost with another model?
topic: cost
needs: [events]
note: >
  The same tokens, written to the cache and read from it as they were, at the list prices of both models. Another model
  answers with more or fewer tokens and counts them otherwise; how well it answers is not in a price. Prices are those of
  clickhouse/prices.yaml or TELEMETRY_PRICES, and of `prices`.
parameters:
  instead: {default: claude-sonnet-5-5, meaning: 'the model whose prices are taken, as prices.yaml has it'}
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  model: the model that was used, without provider, date and context
  requests: model requests that succeeded
  all_tokens: tokens in and out
  cache_percent: input tokens that came from the cache
  usd: what they cost, as reported, else recomputed
  list_usd: what they come to by list prices; empty when a price is not known
  instead_usd: what they would come to by the other model's list prices; empty when it had none on a day
  difference_usd: how much more or less that is than by the model's own list prices
  difference_percent: the same as a share
example: {model: claude-opus-4-8, requests: 318, all_tokens: 5120220, cache_percent: 93.1, usd: 6.42, list_usd: 6.42, instead_usd: 2.57, difference_usd: -3.85, difference_percent: -60}
*/
WITH
    replaceAll(lower({instead:String}), '.', '-') AS other,
    prices AS (
        SELECT arraySort(
            price -> (length(replaceAll(price.1, '%', '')), price.3, price.4),
            groupArray((
                pattern, toString(speed), prompt_over, valid_from,
                (input_usd, output_usd, cache_read_usd, cache_write_5m_usd, cache_write_1h_usd)))) AS list
        FROM model_prices
        HAVING throwIf(
            count() > 0 AND arrayCount(pattern -> other LIKE pattern, groupArray(pattern)) = 0,
            'instead is no model with a price: clickhouse/prices.yaml has them, TELEMETRY_PRICES adds to them') = 0
    ),
    requests AS (
        SELECT
            model_name AS name,
            speed,
            toDate(timestamp, 'UTC') AS day,
            ifNull(input_tokens, 0) AS sent,
            ifNull(output_tokens, 0) AS received,
            ifNull(cache_read_tokens, 0) AS cached,
            ifNull(cache_creation_tokens, 0) AS written,
            least(ifNull(cache_creation_1h_tokens, 0), written) AS written_1h,
            roundDown(
                toUInt64(greatest(sent + cached + written, 1) - 1),
                (SELECT arraySort(arrayConcat([toUInt64(0)], groupUniqArray(prompt_over))) FROM model_prices)) AS prompt_over,
            cost_nanos AS nanos
        FROM telemetry_events
        WHERE event_type = 'api_request' AND timestamp >= toStartOfHour({from:DateTime('UTC')}) AND timestamp < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
        AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({model:String} = '' OR telemetry_events.model = {model:String})
    ),
    used AS (
        SELECT
            name, speed, day, prompt_over,
            count() AS times,
            sum(sent) AS sent_all,
            sum(received) AS received_all,
            sum(cached) AS cached_all,
            sum(written_1h) AS written_1h_all,
            sum(written - written_1h) AS written_5m_all,
            sum(nanos) AS nanos_all
        FROM requests
        GROUP BY name, speed, day, prompt_over
    ),
    costs AS (
        SELECT
            *,
            -- The longest pattern, the band of prompts that it is in, and the latest price of that day.
            arrayLast(
                price -> name LIKE price.1 AND price.2 = if(speed IN ('', 'normal', 'standard'), '', speed)
                    AND price.3 <= prompt_over AND price.4 <= day,
                (SELECT list FROM prices)) AS own,
            arrayLast(
                price -> other LIKE price.1 AND price.2 = '' AND price.3 <= prompt_over AND price.4 <= day,
                (SELECT list FROM prices)) AS price,
            own.1 != '' AS is_known,
            sent_all * own.5.1 + received_all * own.5.2 + cached_all * own.5.3
                + written_5m_all * own.5.4 + written_1h_all * own.5.5 AS own_micros,
            sent_all * price.5.1 + received_all * price.5.2 + cached_all * price.5.3
                + written_5m_all * price.5.4 + written_1h_all * price.5.5 AS micros
        FROM used
    )
SELECT
    name AS model,
    sum(times) AS requests,
    sum(sent_all + received_all + cached_all + written_5m_all + written_1h_all) AS all_tokens,
    round(100 * sum(cached_all) / nullIf(all_tokens - sum(received_all), 0), 1) AS cache_percent,
    if(sum(nanos_all) = 0 AND countIf(NOT is_known) > 0, NULL, round(sum(nanos_all) / 1e9, 4)) AS usd,
    if(countIf(NOT is_known) > 0, NULL, round(sum(own_micros) / 1e6, 4)) AS list_usd,
    if(countIf(price.1 = '') > 0, NULL, round(sum(micros) / 1e6, 4)) AS instead_usd,
    round(instead_usd - list_usd, 4) AS difference_usd,
    round(100 * difference_usd / nullIf(list_usd, 0), 1) AS difference_percent
FROM costs
GROUP BY name
ORDER BY instead_usd DESC, model
