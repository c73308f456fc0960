-- Whether all of `size` bytes, 1 to 8, are one varint: every byte but the last has its first bit set.
CREATE OR REPLACE FUNCTION otlp_varint_is_whole AS (bytes, size) -> bitAnd(bytes, 0x8080808080808080) = [
    0x0, 0x80, 0x8080, 0x808080, 0x80808080, 0x8080808080, 0x808080808080, 0x80808080808080][size]
