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
                (entry).kind = 3 AND (entry).treatment NOT IN (2, 5) AND (entry).size BETWEEN 4 AND 11
                    AND otlp_varint_is_whole(reinterpretAsUInt64(right((entry).pair, (entry).size - 3)) AS bytes, (entry).size - 3),
                    toString(otlp_varint(bytes)),
                (entry).kind = 4 AND (entry).treatment NOT IN (2, 5) AND (entry).size = 11
                    AND isFinite(reinterpretAsFloat64(right((entry).pair, 8)) AS double),
                    otlp_double(double),
                (entry).kind = 0, '',
                (entry).kind = 2 AND (entry).treatment NOT IN (2, 5) AND (entry).head = 0x1100212, 'true',
                (entry).kind = 2 AND (entry).treatment NOT IN (2, 5) AND (entry).head = 0x0100212, 'false',
                assumeNotNull(otlp_value(statement, hex(concat((entry).pair, '')))))),
        entries)),
    'Map(String, String)'))
