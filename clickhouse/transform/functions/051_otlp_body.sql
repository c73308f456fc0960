-- A log record's body, which is a value without a key: what is not a string goes to receiver/scrub.py, whose pieces
-- put together are the value, as the encoding wants it of a field that is sent twice.
CREATE OR REPLACE FUNCTION otlp_body AS (pieces, statement) -> multiIf(
    empty(pieces), '',
    length(pieces) = 1 AND length(pieces[1]) < 130 AND reinterpretAsUInt16(pieces[1]) = 0x0A + 0x100 * (length(pieces[1]) - 2)
        AND isValidUTF8(substring(pieces[1], 3) AS text),
        otlp_clean(text, statement),
    assumeNotNull(otlp_body_value(statement, hex(concat(arrayStringConcat(pieces), '')))))
