-- Whether any redaction pattern occurs in the text: one Hyperscan pass over all of them.
CREATE OR REPLACE FUNCTION otlp_suspicious AS (text) -> multiMatchAny(text, {patterns:Array(String)})
