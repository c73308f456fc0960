-- Entries as private pairs of key and text. Nearly all values are finished here: strings that are safe, hashed or clean,
-- and numbers, unless their key is hashed or says that it is secret. receiver/scrub.py gets all others: values that a
-- pattern matches, error texts, arrays, key-value lists, bytes, hashed and found numbers, infinities, and unusual
-- encodings. otlp_clean has the reason for concat().
CREATE OR REPLACE FUNCTION otlp_private AS (entries, hash_key, statement) -> arrayMap(
    entry -> tuple(
        -- The key alone where it is known: it recurs, and the pair does not.
        multiIf(
            (entry).kind = 9, assumeNotNull(otlp_key(statement, hex(concat((entry).pair, '')))),
            (entry).found AND otlp_suspicious((entry).key), assumeNotNull(otlp_redact(statement, concat((entry).key, ''))),
            (entry).key),
        multiIf(
            (entry).kind = 1 AND (entry).treatment = 1, otlp_legible((entry).text),
            (entry).kind = 1 AND ((entry).treatment = 4 OR ((entry).treatment = 0 AND NOT (entry).found)), (entry).text,
            (entry).kind = 1 AND (entry).treatment IN (2, 5), otlp_hash((entry).text, hash_key),
            (entry).kind = 1, assumeNotNull(otlp_text(statement, (entry).key, concat((entry).text, ''))),
            (entry).kind = 0, '',
            (entry).treatment IN (2, 5) OR (entry).kind = 9, assumeNotNull(otlp_value(statement, hex(concat((entry).pair, '')))),
            (entry).kind = 4 AND (entry).found, assumeNotNull(otlp_scanned_number(statement, (entry).key, concat(toString((entry).number), ''))),
            (entry).kind = 5 AND (entry).found, assumeNotNull(otlp_scanned_number(statement, (entry).key, concat(otlp_double(reinterpretAsFloat64((entry).bytes)), ''))),
            (entry).kind = 4, toString((entry).number),
            (entry).kind = 5, otlp_double(reinterpretAsFloat64((entry).bytes)),
            (entry).kind = 3, 'true',
            'false')),
    entries)
