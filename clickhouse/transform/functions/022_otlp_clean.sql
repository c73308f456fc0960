-- A text outside attributes, redacted. otlp_redact is receiver/scrub.py, called for the few that match.
CREATE OR REPLACE FUNCTION otlp_clean AS (text, statement) ->
    if(otlp_suspicious(text), assumeNotNull(otlp_redact(statement, text)), text)
