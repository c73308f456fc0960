-- The digest that stands for a value; an empty one stays empty. The key is passed with each statement
-- and never stored: a function's text lies on disk, a statement's parameters do not. It comes as the two keys of an
-- HMAC, 64 bytes each, in hex, since HMAC() is five times as slow as the two digests that it is.
-- Source: https://www.rfc-editor.org/rfc/rfc2104
CREATE OR REPLACE FUNCTION otlp_hash AS (text, hash_key) -> multiIf(
    text = '', '',
    hash_key = '', concat('sha256:', lower(hex(SHA256(text)))),
    concat('hmac-sha256:', lower(hex(SHA256(concat(
        unhex(substring(hash_key, 129)), SHA256(concat(unhex(substring(hash_key, 1, 128)), text))))))))
