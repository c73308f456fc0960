-- The attributes' keys; one that no rule names may itself hold what must be redacted.
CREATE OR REPLACE FUNCTION otlp_keys AS (attributes, statement) -> arrayMap(
    (key, treatment) -> if(treatment = 0 AND otlp_suspicious(key), assumeNotNull(otlp_redact(statement, concat(key, ''))), key),
    (attributes).key, otlp_treatments((attributes).key))
