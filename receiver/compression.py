"""Decompress one OTLP/HTTP request body as it arrives, within a limit.

Guarantees: a body that decompresses to more than the limit is refused while it is being read. By then it has
cost about the limit and 40 MiB of work space at most, whatever it claims or does. Bodies that are truncated,
corrupt or followed by anything else are refused.

Does not: decode lists of encodings ("gzip, gzip"), which no OTLP client sends, or know HTTP: the receiver
turns these errors into statuses. Names of encodings: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1
"""

import functools
import io
import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard


class TooLarge(ValueError):  # noqa: N818 - the name is the condition
    """The body is larger than the limit, or asks for more memory than it may have."""


class Corrupt(ValueError):  # noqa: N818 - the name is the condition
    """The body is not what its encoding says."""


class UnknownEncoding(ValueError):  # noqa: N818 - the name is the condition
    """The encoding is none of identity, gzip, deflate and zstd."""


class Decompressor:
    """Decompresses one body: feed it the chunks, then take the body from finish. After an error it is spent.

    encoding is the Content-Encoding header (None when there is none) and limit the largest body in bytes,
    decompressed. Raises UnknownEncoding.
    """

    def __init__(self, encoding: str | None, limit: int) -> None:
        name = (encoding or "identity").strip().lower()
        self._open = _opener(name)
        self._stream = self._open()
        self._slice = _ZSTD_SLICE if name == "zstd" else _DEFLATE_SLICE
        # RFC 1952 section 2.2 and RFC 8878 section 3: members and frames may follow each other.
        self._is_single = name == "deflate"
        self._limit = limit
        # A compressed body is smaller than its content but for framing; this stops one that is framing only.
        self._input_left = 2 * limit + 1024
        self._body = io.BytesIO()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body, of any length. Raises TooLarge or Corrupt."""
        self._input_left -= len(chunk)
        if self._input_left < 0:
            raise TooLarge(f"the body as sent is larger than twice the limit of {self._limit} bytes")
        for start in range(0, len(chunk), self._slice):
            self._decompress(chunk[start : start + self._slice])

    def finish(self) -> bytes:
        """Return the whole body. Raises Corrupt if its end is missing."""
        if not self._stream.eof:
            raise Corrupt("the compressed body is truncated")
        return self._body.getvalue()

    def _decompress(self, piece: bytes) -> None:
        while piece:
            if self._stream.eof:
                if self._is_single:
                    raise Corrupt("the compressed body is followed by other bytes")
                self._stream = self._open()
            try:
                content = self._stream.decompress(piece)
            except zlib.error:
                raise Corrupt("the body is not valid gzip or deflate") from None
            except zstandard.ZstdError as error:
                # The library has one exception for all; the text is ZSTD_getErrorName's.
                if "requires too much memory" in str(error):
                    raise TooLarge(f"a zstd window may have at most {_ZSTD_WINDOW} bytes") from None
                raise Corrupt("the body is not valid zstd") from None
            if self._body.tell() + len(content) > self._limit:
                raise TooLarge(f"the body is larger than the limit of {self._limit} bytes")
            self._body.write(content)
            piece = self._stream.unused_data


# How much of the input is decompressed at once: deflate grows it at most 1032-fold (https://zlib.net/zlib_tech.html)
# and zstd 32768-fold (4 bytes describe a block of 128 KiB), so no step makes more than 8 MiB.
_DEFLATE_SLICE = 8192
_ZSTD_SLICE = 256

# RFC 9659 asks for 8 MiB; the Go encoder, which the Collector uses, announces 32 MiB at its best level.
_ZSTD_WINDOW = 32 << 20


def _opener(name: str) -> Callable[[], "_Stream"]:
    """Return what starts a stream of this encoding; one zstd context serves all frames of a body."""
    match name:
        case "identity" | "":
            return _Identity
        case "gzip" | "x-gzip":
            return functools.partial(zlib.decompressobj, 16 + zlib.MAX_WBITS)
        case "deflate":
            return _Deflate
        case "zstd":
            return zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj
        case _:
            raise UnknownEncoding("unknown Content-Encoding: send identity, gzip, deflate or zstd")


class _Stream(Protocol):
    """What zlib's and zstandard's decompression objects have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Identity:
    """A body that is sent as it is: every piece is whole, and the body may end after any."""

    eof = True
    unused_data = b""

    def decompress(self, data: bytes, /) -> bytes:
        return data


class _Deflate:
    """HTTP's deflate is zlib (RFC 9110 section 8.4.1.2); some clients send a bare deflate stream."""

    def __init__(self) -> None:
        self._stream: _Stream | None = None
        self._head = b""

    @property
    def eof(self) -> bool:
        return self._stream is not None and self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data if self._stream else b""

    def decompress(self, data: bytes, /) -> bytes:
        if self._stream is None:
            data = self._head + data
            if len(data) < 2:  # noqa: PLR2004 - a zlib header has two bytes
                self._head = data
                return b""
            # RFC 1950 section 2.2: method 8, and the two bytes are a multiple of 31.
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0  # noqa: PLR2004
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        return self._stream.decompress(data)
