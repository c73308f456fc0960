CREATE OR REPLACE FUNCTION otlp_attributes AS (attributes, hash_key, statement) ->
    otlp_map(otlp_kept(attributes, otlp_pairs(attributes, hash_key, statement)))
