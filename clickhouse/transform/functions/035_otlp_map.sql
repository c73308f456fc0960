-- Private pairs as a map with its keys in bytewise order, without those that the rules drop.
CREATE OR REPLACE FUNCTION otlp_map AS (pairs) ->
    CAST(otlp_kept(CAST(arraySort(pair -> (pair).1, pairs), 'Map(String, String)')), 'Map(LowCardinality(String), String)')
