-- What can be said of attributes by looking at their bytes: `KeyValue` messages, whose first field is the key and
-- whose second is the value. `text` is the value if it is a string, and `number` if it is an int; `found` says that a
-- pattern matches `key=text`, so that a key can give its value away (`db.password`), and is asked of keys alone that no
-- rule names. `number` is worked out for all: what is asked for a few rows only is worked out each time it is named.
-- A key of 128 bytes and more, one that does not come first and text that is not UTF-8 cannot be read like this: the
-- kind is 9 then.
CREATE OR REPLACE FUNCTION otlp_entries AS (attributes) -> arrayMap(
    read -> tuple(
        (read).pair AS pair,
        (read).key AS key,
        (read).treatment AS treatment,
        (read).bytes AS bytes,
        (read).text AS text,
        otlp_varint((read).bytes) AS number,
        if((read).start = 0x0A + 0x100 * length((read).key) AND (read).start < 0x8000, otlp_kind((read).head, (read).bytes, (read).size), 9) AS told,
        -- Not by AND, whose second half would be asked of a copy.
        if(bitAnd(isValidUTF8((read).key), (told = 1) <= isValidUTF8((read).text)), told, 9) AS kind,
        (read).treatment = 0 AND otlp_suspicious(concat((read).key, '=', if(kind = 1, (read).text, ''))) AS found),
    arrayMap(
        attribute -> tuple(
            attribute AS pair,
            reinterpretAsUInt16(pair) AS start,
            substring(pair, 3, bitShiftRight(start, 8)) AS key,
            otlp_treatment(key) AS treatment,
            length(pair) - length(key) - 2 AS size,
            reinterpretAsUInt64(substring(pair, length(key) + 3, 8)) AS head,
            reinterpretAsUInt64(substring(pair, length(key) + 6, 8)) AS bytes,
            right(pair, size - if(size < 130, 4, 6)) AS text),
        attributes))
