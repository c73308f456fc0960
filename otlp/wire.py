"""Protobuf's wire format, as far as translating JSON writes it by hand: tags, lengths, and attributes of one scalar.

Pieces of attributes are str with a byte a character (`LATIN`), as Python joins those in less time than bytes: a text
in ASCII is the same in both.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from struct import pack
from typing import Final

LATIN: Final = "latin-1"
"""The encoding in which a character is a byte."""
FEW: Final = 512
"""Keys and texts of fewer bytes are put together from the tables here."""
_OF_BYTES: Final = 2
"""The wire type of what has a length before it."""
_SEVEN_BITS: Final = 0x7F


def varint(number: int) -> bytes:
    """Return a number that is not negative, seven bits a byte."""
    written = bytearray()
    while number > _SEVEN_BITS:
        written.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def tag_of_bytes(number: int) -> bytes:
    """Return the tag of a field that is a message, a text or bytes, by the field's number."""
    return varint(number << 3 | _OF_BYTES)


def behind(tag: bytes, message: bytes) -> bytes:
    """Return a message as it stands in the one around it."""
    return tag + varint(len(message)) + message


def integer_value(number: int) -> str:
    """Return `value` of a KeyValue: an AnyValue of a number that is not negative, in LATIN."""
    if number < len(LENGTH):
        written = LENGTH[number]
    elif number >> 7 < len(LENGTH):  # seven bits, and what is left of them
        written = f"{chr(number & _SEVEN_BITS | 0x80)}{LENGTH[number >> 7]}"
    else:
        written = varint(number).decode(LATIN)
    return f"\x12{LENGTH[1 + len(written)]}\x18{written}"


def double_value(number: float) -> str:
    """Return `value` of a KeyValue: an AnyValue of a double, in LATIN."""
    return (b"\x12\x09\x21" + pack("<d", number)).decode(LATIN)


BOOL_VALUE: Final = {False: "\x12\x02\x10\x00", True: "\x12\x02\x10\x01"}
LENGTH: Final = [varint(size).decode(LATIN) for size in range(2 * FEW + 16)]
"""Lengths in LATIN, by number."""
BEFORE_KEY: Final = [f"\n{length}" for length in LENGTH[:FEW]]
"""What stands before a KeyValue's key, by the key's length."""
BEFORE_TEXT: Final = [
    f"\x12{LENGTH[1 + len(length) + size]}\n{length}" for size, length in enumerate(LENGTH[:FEW])
]
"""What stands before the text of a KeyValue whose value is one, by the text's length."""
