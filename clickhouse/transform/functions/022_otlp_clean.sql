-- A text outside attributes, redacted by receiver/scrub.py when a pattern matches it. The engine calls a Python
-- function for the values of its branch alone only when an argument is costly to compute. concat(x, '') makes it so;
-- without it Python would get every text, whether or not a pattern matches. tests/test_scrub_calls.py holds this.
-- (Where texts are dictionary-encoded, the branch is the whole dictionary as soon as one of its texts matches.)
CREATE OR REPLACE FUNCTION otlp_clean AS (text, statement) ->
    if(otlp_suspicious(text), assumeNotNull(otlp_redact(statement, concat(text, ''))), text)
