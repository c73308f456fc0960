-- Attributes as a private map.
CREATE OR REPLACE FUNCTION otlp_attributes AS (attributes, hash_key, statement) ->
    otlp_map(otlp_private(otlp_entries(attributes), hash_key, statement))
