-- The kind of an attribute's value: 0 none, 1 string, 2 false, 3 true, 4 int, 5 double, 9 any other. The evidence is
-- `head`, the first eight bytes after the key, `bytes`, the eight bytes that begin three later, and `size`, the number
-- of bytes after the key. All lengths must agree with `size`, so nothing else can stand beside the value. The bytes are
-- the tag of the value (0x12) and its length, then the tag of its kind and, for a string, its length. Both lengths have
-- one byte (a text of up to 125 bytes), or both have two (128 to 16,380 bytes). Every other encoding is 9, as are texts
-- of other lengths, integers of more than eight bytes, and infinities. docs/decoding.md has a worked example.
CREATE OR REPLACE FUNCTION otlp_kind AS (head, bytes, size) -> multiIf(
    size < 130 AND bitAnd(head, 0xFFFFFFFF) - 0x1000100 * size = 0x0A0012 - 0x200 - 0x4000000, 1,
    size > 133 AND size < 16387 AND bitAnd(head, 0xFFFFFFFFFFFF)
        = 0x0A000012 + 0x100 * (size + 125 + bitAnd(size - 3, 0x3F80)) + 0x100000000 * (size + 122 + bitAnd(size - 6, 0x3F80)), 1,
    size > 3 AND size < 12 AND bitAnd(head, 0xFFFFFF) - 0x100 * size = 0x180012 - 0x200
        AND otlp_varint_is_whole(bytes, size - 3), 4,
    size = 4 AND head = 0x1100212, 3,
    size = 4 AND head = 0x0100212, 2,
    size = 11 AND bitAnd(head, 0xFFFFFF) = 0x210912 AND bitAnd(bytes, 0x7FF0000000000000) != 0x7FF0000000000000, 5,
    size = 0 OR (size = 2 AND head = 0x12), 0,
    9)
