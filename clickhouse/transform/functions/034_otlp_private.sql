-- Entries as a private map with its keys in bytewise order, less those that the rules drop. What is finished here is
-- what nearly all values are: strings that are safe, hashed or clean, and numbers, which are not text and stay as
-- they are unless their key is hashed. All else goes to receiver/scrub.py: what a pattern matches, error texts,
-- arrays, key-value lists, hashed numbers, infinities, and what is written in no usual way.
CREATE OR REPLACE FUNCTION otlp_private AS (entries, hash_key, statement) -> otlp_kept(CAST(arraySort(
    private -> (private).1,
    arrayMap(
        entry -> tuple(
            if((entry).kind = 9 OR ((entry).found AND otlp_suspicious((entry).key)),
                assumeNotNull(otlp_key(statement, hex(concat((entry).pair, '')))),
                (entry).key),
            multiIf(
                (entry).kind = 1 AND ((entry).treatment IN (1, 4) OR ((entry).treatment = 0 AND NOT (entry).found)), (entry).text,
                (entry).kind = 1 AND (entry).treatment IN (2, 5), otlp_hash((entry).text, hash_key),
                (entry).kind = 1, assumeNotNull(otlp_text(statement, (entry).key, concat((entry).text, ''))),
                (entry).kind = 0, '',
                (entry).treatment IN (2, 5) OR (entry).kind = 9, assumeNotNull(otlp_value(statement, hex(concat((entry).pair, '')))),
                (entry).kind = 4, toString((entry).number),
                (entry).kind = 5, otlp_double(reinterpretAsFloat64((entry).bytes)),
                (entry).kind = 3, 'true',
                'false')),
        entries)),
    'Map(String, String)'))
