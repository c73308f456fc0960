"""ClickHouse's own compressed frames, which clients request with `compress=1` and send with `decompress=1`.

A frame is a 16-byte CityHash128 (of ClickHouse's version, 1.0.2) of what follows it, a method byte, the size of the
frame without its hash and the size of its content (four bytes each, little-endian), and the compressed content.

Source: https://clickhouse.com/docs/native-protocol/hash and https://clickhouse.com/docs/data-compression/compression-in-clickhouse
"""

from collections.abc import Iterator
from typing import Final

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

from gateway.errors import QueryError
from otlp.compression import zstd

CONTENT: Final = 1 << 20
"""Bytes of content in a frame that the gateway makes; a ClickHouse server's buffer has the same size."""
_LARGEST: Final = 16 << 20
_HASH: Final = 16
_HEAD: Final = 9
_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90


def pack(content: bytes) -> bytes:
    """Return the content as one LZ4 frame."""
    compressed: bytes = lz4.block.compress(content, store_size=False)
    head = (
        bytes([_LZ4]) + (len(compressed) + _HEAD).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    )
    return _hash(head + compressed) + head + compressed


class Unpacker:
    """Unpacks frames as their bytes arrive."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the content of each frame that is complete with these bytes. Raises QueryError."""
        self._kept += data
        while len(self._kept) >= _HASH + _HEAD:
            method = self._kept[_HASH]
            size = int.from_bytes(self._kept[_HASH + 1 : _HASH + 5], "little")
            length = int.from_bytes(self._kept[_HASH + 5 : _HASH + _HEAD], "little")
            if not _HEAD <= size <= _LARGEST or length > _LARGEST:
                raise QueryError.of(
                    89,
                    "CANNOT_DECOMPRESS",
                    "The body is not in ClickHouse's compressed format: decompress=1 needs it.",
                )
            if len(self._kept) < _HASH + size:
                return
            digest, frame = bytes(self._kept[:_HASH]), bytes(self._kept[_HASH : _HASH + size])
            if digest != _hash(frame):
                raise QueryError.of(
                    40,
                    "CHECKSUM_DOESNT_MATCH",
                    "The body's checksum does not match: it was changed on its way.",
                )
            del self._kept[: _HASH + size]
            yield _content(method, frame[_HEAD:], length)

    def finish(self) -> None:
        """Raise QueryError when the last frame is not complete."""
        if self._kept:
            raise QueryError.of(33, "CANNOT_READ_ALL_DATA", "The body ends within a compressed block.")


def _content(method: int, compressed: bytes, length: int) -> bytes:
    try:
        match method:
            case 0x02:
                return compressed
            case 0x82:
                content: bytes = lz4.block.decompress(compressed, uncompressed_size=length)
                return content
            # Go's encoder does not say the content's size in the frame.
            case 0x90 if zstd.get_frame_info(compressed).decompressed_size in {length, None}:
                return _plain(compressed, length)
            case _:
                raise QueryError.of(
                    89,
                    "CANNOT_DECOMPRESS",
                    "The body is compressed by a method other than LZ4 and ZSTD, or declares a wrong size.",
                )
    except (lz4.block.LZ4BlockError, zstd.ZstdError):
        raise QueryError.of(89, "CANNOT_DECOMPRESS", "A block of the body cannot be decompressed.") from None


def _plain(compressed: bytes, most: int) -> bytes:
    """Return the content of a zstd frame, of at most so many bytes. Raises ZstdError."""
    frame = zstd.ZstdDecompressor()
    content = frame.decompress(compressed, max_length=most + 1)
    if not frame.eof or len(content) > most:
        raise zstd.ZstdError
    return content


def _hash(data: bytes) -> bytes:
    value: int = CityHash128(data)
    # The package returns one number, whose high half is the second half in ClickHouse's order.
    return (value >> 64).to_bytes(8, "little") + (value & (1 << 64) - 1).to_bytes(8, "little")
