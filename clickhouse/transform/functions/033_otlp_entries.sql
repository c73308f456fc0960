-- Attributes as their bytes describe them: `KeyValue` messages, whose first field is the key and whose second field is
-- the value. `text` is the value if it is a string, `number` if it is an int. `found` is whether a pattern matches
-- `key=text`, since a key can show that its value is secret (`db.password`); only keys that no rule names are searched,
-- and numbers under the keys of error texts.
-- Of numbers, those are searched that can be the number of a card; of the others, the key alone.
-- `number` is computed for every entry: a value that is computed for a few rows only would be computed again at each
-- use. The kind is 9 when a key has 128 bytes or more, when the key is not the first field, and when a text is not
-- UTF-8. An attribute without a byte has an empty key and no value. docs/decoding.md has a worked example.
CREATE OR REPLACE FUNCTION otlp_entries AS (attributes) -> arrayMap(
    read -> tuple(
        (read).pair AS pair,
        (read).key AS key,
        (read).treatment AS treatment,
        (read).bytes AS bytes,
        (read).text AS text,
        otlp_varint((read).bytes) AS number,
        multiIf(
            (read).start = 0x0A + 0x100 * length((read).key) AND (read).start < 0x8000, otlp_kind((read).head, (read).bytes, (read).size),
            empty((read).pair), 0,
            9) AS kind_by_bytes,
        -- bitAnd, since AND would check its second half on a copy of the rows. `a <= b` means that a implies b.
        if(bitAnd(isValidUTF8((read).key), (kind_by_bytes = 1) <= isValidUTF8((read).text)), kind_by_bytes, 9) AS kind,
        ((read).treatment = 0 OR ((read).treatment = 3 AND kind != 1)) AND otlp_suspicious(concat((read).key, '=', multiIf(
            kind = 1, (read).text,
            kind = 4 AND otlp_can_be_card(number), toString(number),
            kind = 5 AND abs(reinterpretAsFloat64((read).bytes)) > 1e12, otlp_double(reinterpretAsFloat64((read).bytes)),
            ''))) AS found),
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
