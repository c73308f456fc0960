"""Numbers of variable length, seven bits a byte, as Protobuf and ClickHouse's Native format write them (LEB128).

Source: https://protobuf.dev/programming-guides/encoding/#varints
"""

from typing import Final

_LONGEST: Final = 10
"""Bytes of the largest number, which has 64 bits."""


def varint(number: int) -> bytes:
    """Return the encoding of a number that is not negative."""
    encoded = bytearray()
    while number > 127:  # noqa: PLR2004  seven bits a byte
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return the number that begins at `at`, and where it ends. Raises ValueError when it has no end there."""
    number = 0
    for place, byte in enumerate(data[at : at + _LONGEST]):
        number |= (byte & 127) << 7 * place
        if byte < 128:  # noqa: PLR2004  the last byte
            return number, at + place + 1
    raise ValueError("a number of variable length does not end within 10 bytes of the data")
