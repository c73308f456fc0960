-- The digest that stands for a value; an empty one stays empty. The key is passed with each statement
-- and never stored: a function's text lies on disk, a statement's parameters do not.
CREATE OR REPLACE FUNCTION otlp_hash AS (text, hash_key) -> multiIf(
    text = '', '',
    hash_key = '', concat('sha256:', lower(hex(SHA256(text)))),
    concat('hmac-sha256:', lower(hex(HMAC('sha256', text, hash_key)))))
