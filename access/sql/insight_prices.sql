-- Prices of standard speed that hold for any prompt, the latest of each pattern last.
SELECT pattern, input_usd, output_usd, cache_read_usd, cache_write_5m_usd
FROM model_prices
WHERE speed = '' AND prompt_over = 0 AND valid_from <= toDate({to:DateTime('UTC')})
ORDER BY length(replaceAll(pattern, '%', '')), valid_from
