-- A text outside attributes, redacted by receiver/scrub.py when a pattern matches it. See otlp_values for concat().
CREATE OR REPLACE FUNCTION otlp_clean AS (text, statement) ->
    if(otlp_suspicious(text), assumeNotNull(otlp_redact(statement, concat(text, ''))), text)
