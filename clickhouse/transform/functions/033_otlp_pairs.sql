-- Attributes as private (key, text) pairs. Only strings are redacted: numbers are not text.
CREATE OR REPLACE FUNCTION otlp_pairs AS (attributes, hash_key, statement) -> arrayMap(
    (key, treatment, suspect, kind, text) -> (
        if(suspect, assumeNotNull(otlp_redact(statement, key)), key),
        multiIf(
            treatment = 2, otlp_hash(text, hash_key),
            treatment = 3 AND kind = 'string_value', assumeNotNull(otlp_excerpt(statement, key, text)),
            suspect AND kind = 'string_value', assumeNotNull(otlp_redact_attribute(statement, key, text)),
            text)),
    (attributes).key, otlp_treatment((attributes).key), otlp_suspects(attributes), (attributes).value.value,
    otlp_texts(attributes, statement))
