"""Numbers of variable length, seven bits a byte, as Protobuf and ClickHouse's Native format write them (LEB128).

Source: https://protobuf.dev/programming-guides/encoding/#varints
"""


def varint(number: int) -> bytes:
    """Write a number that is not negative."""
    encoded = bytearray()
    while number > 127:  # noqa: PLR2004  seven bits a byte
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
