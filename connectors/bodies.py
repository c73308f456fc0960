"""The body of an answer, read no further than a bound, which holds for what is decompressed too.

A compressed piece is decompressed only as far as the bound leaves room, so that a body that grows a thousandfold takes
no more memory than any other.
"""

import zlib
from collections.abc import AsyncIterator
from typing import Final

from connectors.contract import BackendError, Kind

ACCEPTED: Final = "gzip, deflate"
_GZIP: Final = 16 + zlib.MAX_WBITS
_BROKEN: Final = "The answer's compression is broken. Ask again."


async def body_of(pieces: AsyncIterator[bytes], encoding: str, most: int) -> tuple[bytes, bool]:
    """Return the first `most` bytes of a body and whether it has more. Raises BackendError for broken compression."""
    body = bytearray()
    stream = None if encoding in {"", "identity"} else _Decompressed(encoding)
    async for piece in pieces:
        body += piece if stream is None else stream.more(piece, most + 1 - len(body))
        if len(body) > most:
            return bytes(body[:most]), True
    if stream is not None and not stream.is_complete:
        raise BackendError(Kind.MALFORMED, _BROKEN)
    return bytes(body), False


class _Decompressed:
    """A compressed stream, in which one gzip file may follow another. Deflate is with zlib's frame, or without."""

    def __init__(self, encoding: str) -> None:
        bits = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}.get(encoding)
        if bits is None:
            raise BackendError(
                Kind.MALFORMED,
                "The answer is compressed in a way that was not asked for: check what is in front of it.",
            )
        self._bits = bits
        self._stream = zlib.decompressobj(bits)
        self._has_begun = False

    @property
    def is_complete(self) -> bool:
        """Whether the stream has come to its end, or has not begun."""
        return self._stream.eof or not self._has_begun

    def more(self, piece: bytes, room: int) -> bytes:
        """Return what a piece holds, at most `room` bytes (at least 1). Raises BackendError."""
        found = bytearray()
        while piece and len(found) < room:
            if self._stream.eof:
                self._stream = zlib.decompressobj(self._bits)
            try:
                found += self._stream.decompress(piece, room - len(found))
            except zlib.error:
                if self._has_begun or self._bits != zlib.MAX_WBITS:
                    raise BackendError(Kind.MALFORMED, _BROKEN) from None
                self._bits = -zlib.MAX_WBITS
                self._stream = zlib.decompressobj(self._bits)
                continue
            self._has_begun = True
            piece = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return bytes(found)
