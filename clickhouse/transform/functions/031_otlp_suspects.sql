-- Which attributes must be looked at: those of no rule whose `key=value` matches a redaction pattern.
-- Scanning both together lets a key give its value away (`db.password`), and finds text hidden in keys.
CREATE OR REPLACE FUNCTION otlp_suspects AS (attributes) -> arrayMap(
    (treatment, key, text) -> treatment = 0 AND otlp_suspicious(concat(key, '=', text)),
    otlp_treatment((attributes).key), (attributes).key, (attributes).value.string_value)
