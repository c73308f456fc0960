-- Attributes as a private map, less those that the rules drop.
CREATE OR REPLACE FUNCTION otlp_attributes AS (attributes, hash_key, statement) -> otlp_kept(otlp_sorted(
    otlp_keys(attributes, statement), otlp_values(attributes, hash_key, statement)))
