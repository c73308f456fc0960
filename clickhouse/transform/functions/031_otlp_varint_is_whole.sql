-- Whether the first `size` of the eight bytes, 1 to 8, are exactly one varint, with zeros after them: every byte except
-- the last has its highest bit set.
CREATE OR REPLACE FUNCTION otlp_varint_is_whole AS (bytes, size) ->
    bitAnd(bytes, 0x8080808080808080) = bitShiftRight(0x0080808080808080, 8 * bitAnd(8 - size, 7))
