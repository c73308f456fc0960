-- A log record's body, which is a value without a key. A short string is finished here; receiver/scrub.py gets all
-- other values. A body that was sent in several pieces is the pieces joined, as the encoding defines it for a repeated
-- field. arrayStringConcat() is costly enough that Python gets the values of its branch alone: see otlp_clean.
CREATE OR REPLACE FUNCTION otlp_body AS (pieces, statement) -> multiIf(
    empty(pieces), '',
    length(pieces) = 1 AND length(pieces[1]) < 130 AND reinterpretAsUInt16(pieces[1]) = 0x0A + 0x100 * (length(pieces[1]) - 2)
        AND isValidUTF8(substring(pieces[1], 3) AS text),
        otlp_clean(text, statement),
    assumeNotNull(otlp_body_value(statement, hex(arrayStringConcat(pieces)))))
