-- The number in a varint of up to eight bytes, which are read as one little-endian integer. Each byte has seven bits of
-- the number; three steps join them to pairs of bytes, to halves, and to the number. docs/decoding.md has an example.
-- Source: https://protobuf.dev/programming-guides/encoding/#varints
CREATE OR REPLACE FUNCTION otlp_varint AS (bytes) ->
    bitOr(
        bitAnd(
            bitOr(
                bitAnd(
                    bitOr(bitAnd(bytes, 0x007F007F007F007F), bitShiftRight(bitAnd(bytes, 0x7F007F007F007F00), 1)) AS pairs_of_bytes,
                    0x00003FFF00003FFF),
                bitShiftRight(bitAnd(pairs_of_bytes, 0x3FFF00003FFF0000), 2)) AS halves,
            0x000000000FFFFFFF),
        bitShiftRight(bitAnd(halves, 0x0FFFFFFF00000000), 4))
