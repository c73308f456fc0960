/*
question: Is what the clients report what the list prices come to?
topic: cost
needs: [events]
note: >
  List prices, from clickhouse/prices.yaml or TELEMETRY_PRICES. Events do not say for how long the cache was written, unless a client sends
  cache_creation_5m_tokens and cache_creation_1h_tokens; five minutes are assumed.
parameters:
  from: {default: 7 days ago, meaning: beginning of the period}
  to: {default: now, meaning: end of the period}
  team: {default: '', meaning: 'one team only; empty: all'}
  user: {default: '', meaning: 'one user only; empty: all'}
  project: {default: '', meaning: 'one project only; empty: all'}
  model: {default: '', meaning: 'one model only; empty: all'}
columns:
  model: the model's name, without provider, date and context
  speed: fast or normal, as sent
  requests: model requests that succeeded
  reported_usd: what the client says they cost; empty when it says so of none
  unreported: requests of which the client did not say what they cost
  recomputed_usd: what they come to by model_prices; empty when a price is not known
  difference_percent: how much more or less that is; empty when not all of both are known
  if_cached_for_1h_usd: the same, if all writes to the cache whose duration was not sent were for an hour
  unpriced: requests without a known price
  cache_creation_tokens: tokens written to the cache
  assumed_tokens: those whose duration was not sent, and that are taken for five minutes
wide: [assumed_tokens, if_cached_for_1h_usd]
example: {model: claude-opus-4-8, speed: normal, requests: 318, reported_usd: 6.42, unreported: 0, recomputed_usd: 6.42, difference_percent: 0, if_cached_for_1h_usd: 7.58, unpriced: 0, cache_creation_tokens: 310220, assumed_tokens: 310220}
*/
WITH
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
            least(ifNull(cache_creation_5m_tokens, 0), written - written_1h) AS written_5m,
            roundDown(
                toUInt64(greatest(sent + cached + written, 1) - 1),
                (SELECT arraySort(arrayConcat([toUInt64(0)], groupUniqArray(prompt_over))) FROM model_prices)) AS prompt_over,
            if(cost_source = 'reported', cost_nanos, 0) AS nanos,
            cost_source = 'reported' AS is_reported
        FROM telemetry_events
        WHERE event_type = 'api_request' AND timestamp >= toStartOfHour({from:DateTime('UTC')}) AND timestamp < toStartOfHour({to:DateTime('UTC')} + toIntervalSecond(3599))
        AND ({team:String} = '' OR team = {team:String}) AND ({user:String} = '' OR user_id = {user:String})
        AND ({project:String} = '' OR telemetry_events.project = {project:String}) AND ({model:String} = '' OR telemetry_events.model = {model:String})
    ),
    used AS (
        SELECT
            name, speed, day, prompt_over,
            count() AS times,
            countIf(is_reported) AS reported,
            sum(sent) AS sent_all,
            sum(received) AS received_all,
            sum(cached) AS cached_all,
            sum(written_1h) AS written_1h_all,
            sum(written_5m) AS written_5m_all,
            sum(written - written_1h - written_5m) AS assumed,
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
                (SELECT arraySort(
                    price -> (length(replaceAll(price.1, '%', '')), price.3, price.4),
                    groupArray((
                        pattern, toString(speed), prompt_over, valid_from,
                        (input_usd, output_usd, cache_read_usd, cache_write_5m_usd, cache_write_1h_usd))))
                FROM model_prices)) AS price,
            price.1 != '' AS is_known,
            price.5 AS rates,
            sent_all * rates.1 + received_all * rates.2 + cached_all * rates.3
                + (written_5m_all + assumed) * rates.4 + written_1h_all * rates.5 AS micros,
            assumed * (rates.5 - rates.4) AS more
        FROM used
    )
SELECT
    name AS model,
    speed,
    sum(times) AS requests,
    if(unreported = requests, NULL, round(sum(nanos_all) / 1e9, 4)) AS reported_usd,
    sum(times - reported) AS unreported,
    if(unpriced > 0, NULL, round(sum(micros) / 1e6, 4)) AS recomputed_usd,
    if(unreported > 0, NULL, round(100 * (recomputed_usd - reported_usd) / nullIf(reported_usd, 0), 2)) AS difference_percent,
    if(unpriced > 0, NULL, round(sum(micros + more) / 1e6, 4)) AS if_cached_for_1h_usd,
    sumIf(times, NOT is_known) AS unpriced,
    sum(assumed + written_5m_all + written_1h_all) AS cache_creation_tokens,
    sum(assumed) AS assumed_tokens
FROM costs
GROUP BY name, speed
ORDER BY reported_usd DESC, model, speed
