-- Pairs as a map with its keys in bytewise order.
CREATE OR REPLACE FUNCTION otlp_map AS (pairs) -> mapSort(CAST(pairs, 'Map(String, String)'))
