-- The kind of an attribute's value: 0 none, 1 string, 2 bool, 3 int, 4 double, 9 any other. It is told by `head`, the
-- first eight bytes after the key, and by how many bytes there are in all, so that 1 and 4 are certain, and nothing
-- else stands beside the value. After the tag of the value (0x12) and its length comes the tag of its kind, and of a
-- string the length: one byte each, or two each. What is written otherwise is 9, as are the strings in between.
CREATE OR REPLACE FUNCTION otlp_kind AS (head, size) -> multiIf(
    size < 130 AND bitAnd(head, 0xFFFFFFFF) - 0x1000100 * size = 0x0A0012 - 0x200 - 0x4000000, 1,
    size > 133 AND size < 16387 AND bitAnd(head, 0xFFFFFFFFFFFF)
        = 0x0A000012 + 0x100 * (size + 125 + bitAnd(size - 3, 0x3F80)) + 0x100000000 * (size + 122 + bitAnd(size - 6, 0x3F80)), 1,
    transform(toInt64(bitAnd(head, 0xFFFFFF) - 0x100 * size),
        [0x180012 - 0x200, 0x210012 - 0x200, 0x100012 - 0x200, 0x12 - 0x200, 0], [3, 4, 2, 0, 0], 9))
