-- Whether the eight bytes, zeros behind them, are one varint of `size` bytes, 1 to 8: all but its last byte have the first
-- bit set.
CREATE OR REPLACE FUNCTION otlp_varint_is_whole AS (bytes, size) ->
    bitAnd(bytes, 0x8080808080808080) = bitShiftRight(0x0080808080808080, 8 * bitAnd(8 - size, 7))
