-- The digest that replaces a value; nothing stays nothing. The key is passed with each statement and never stored:
-- a function's text is on disk, a statement's parameters are not. It is given as the inner and the outer key of an
-- HMAC, 64 bytes each, in hex, since HMAC() takes five times as long as the two digests that it consists of.
-- Source: https://www.rfc-editor.org/rfc/rfc2104
CREATE OR REPLACE FUNCTION otlp_hash AS (text, hash_key) -> multiIf(
    -- What the client sends in place of a text that it does not send is no text: its hash would look like one.
    text = '' OR text = '<REDACTED>', text,
    hash_key = '', concat('sha256:', lower(hex(SHA256(text)))),
    concat('hmac-sha256:', lower(hex(SHA256(concat(
        unhex(substring(hash_key, 129)), SHA256(concat(unhex(substring(hash_key, 1, 128)), text))))))))
