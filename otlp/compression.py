"""Decompress the body of an HTTP request as it arrives, of OTLP/HTTP and of ClickHouse's HTTP interface alike.

Guarantees: memory is bounded by the pieces, not by the body. Each piece of content has 8 MiB at most, and the work
space is the largest zstd window (32 MiB by default) and about 8 MiB more, whatever the body claims or does.
`Decompressor` also refuses a body that is larger than its limit, while it is being read. Bodies that are truncated,
corrupt or followed by anything else are refused, by an error that says which.

Does not: decode lists of encodings ("gzip, gzip"), which no client sends, or know statuses: the callers turn these
errors into answers of their protocol. Names of encodings: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1
"""

import functools
import io
import sys
import typing
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import lz4.frame

if sys.version_info >= (3, 14):
    from compression import zstd as zstd  # noqa: PLC0414  others import it from here
else:
    from backports import zstd as zstd  # noqa: PLC0414

OTLP_ENCODINGS: Final = ("gzip", "deflate", "zstd")
CLICKHOUSE_ENCODINGS: Final = (*OTLP_ENCODINGS, "lz4")

# RFC 9659 asks for 8 MiB; the Go encoder, which the Collector uses, announces 32 MiB at its best level.
_ZSTD_WINDOW: Final = 32 << 20

# How much of the input is decompressed at once: deflate grows it at most 1032-fold (https://zlib.net/zlib_tech.html),
# lz4 255-fold, and zstd 32768-fold (4 bytes describe a block of 128 KiB), so no step makes more than 8 MiB.
_SLICE: Final = 8192
_ZSTD_SLICE: Final = 256


class TooLarge(ValueError):  # noqa: N818 - the name is the condition
    """The body is larger than the limit, or asks for more memory than it may have."""


class Corrupt(ValueError):  # noqa: N818 - the name is the condition
    """The body is not in its encoding."""


class Truncated(Corrupt):
    """The body ends before its content does."""


class UnknownEncoding(ValueError):  # noqa: N818 - the name is the condition
    """The encoding is none of those that are accepted."""


class PieceDecompressor:
    """Decompresses one body into pieces of bounded size. After an error it is spent.

    `encoding` is the Content-Encoding header (None when there was none), `accepted` are the encodings to take besides
    identity, and `window` the largest zstd window in bytes, a power of two. Raises UnknownEncoding.
    """

    def __init__(
        self, encoding: str | None, accepted: Sequence[str] = OTLP_ENCODINGS, window: int = _ZSTD_WINDOW
    ) -> None:
        name = (encoding or "identity").strip().lower()
        name = "gzip" if name == "x-gzip" else name  # RFC 9110 section 8.4.1.3
        self._open = _opener(name, accepted, window)
        self._stream = self._open()
        self._slice = _ZSTD_SLICE if name == "zstd" else _SLICE
        self._window = window
        self.held: Final = 2 if name == "zstd" else 1
        """How often content is held while it is decompressed: zstd keeps a window of it beside."""
        # RFC 1952 section 2.2 and RFC 8878 section 3: members and frames may follow each other.
        self._is_single = name == "deflate"

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the content of the next bytes of the body, of any length. Raises TooLarge or Corrupt."""
        for start in range(0, len(chunk), self._slice):
            piece = chunk[start : start + self._slice]
            while piece:
                if self._stream.eof:
                    if self._is_single:
                        raise Corrupt("the compressed body is followed by other bytes")
                    self._stream = self._open()
                yield self._decompressed(piece)
                piece = self._stream.unused_data or b""

    def finish(self) -> None:
        """Raise Truncated if the end of the body is missing."""
        if not self._stream.eof:
            raise Truncated("the compressed body is truncated")

    def _decompressed(self, piece: bytes) -> bytes:
        try:
            return self._stream.decompress(piece)
        except zlib.error:
            raise Corrupt("the body is not valid gzip or deflate") from None
        except zstd.ZstdError as error:
            # The library has one exception for all; the text is ZSTD_getErrorName's.
            if "requires too much memory" in str(error):
                raise TooLarge(f"a zstd window may have at most {self._window} bytes") from None
            raise Corrupt("the body is not valid zstd") from None
        except RuntimeError:  # the only exception of lz4.frame
            raise Corrupt("the body is not valid lz4") from None


class Decompressor:
    """Decompresses one body of a bounded size: feed it the chunks, then take the body from finish.

    `encoding` is as in PieceDecompressor, and `limit` the largest body in bytes, decompressed. `take` is told of every
    further byte that is held, and may raise. After an error it is spent. Raises UnknownEncoding.
    """

    def __init__(
        self, encoding: str | None, limit: int, take: Callable[[int], None] = lambda _: None
    ) -> None:
        self._pieces = PieceDecompressor(encoding)
        self._take = take
        self._limit = limit
        # A compressed body is smaller than its content but for framing; this stops one that is framing only.
        self._input_left = 2 * limit + 1024
        self._body = io.BytesIO()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body, of any length. Raises TooLarge or Corrupt."""
        self._input_left -= len(chunk)
        if self._input_left < 0:
            raise TooLarge(f"the body as sent is larger than twice the limit of {self._limit} bytes")
        for content in self._pieces.feed(chunk):
            if self._body.tell() + len(content) > self._limit:
                raise TooLarge(f"the body is larger than the limit of {self._limit} bytes")
            self._take(len(content) * self._pieces.held)
            self._body.write(content)

    def finish(self) -> bytes:
        """Return the whole body. Raises Truncated if its end is missing."""
        self._pieces.finish()
        return self._body.getvalue()


def _opener(name: str, accepted: Sequence[str], window: int) -> Callable[[], "_Stream"]:
    """Return what starts a stream of this encoding."""
    if name not in {"identity", "", *accepted}:
        *first, last = ("identity", *accepted)
        raise UnknownEncoding(f"unknown Content-Encoding: send {', '.join(first)} or {last}")
    match name:
        case "gzip":
            return functools.partial(zlib.decompressobj, 16 + zlib.MAX_WBITS)
        case "deflate":
            return _Deflate
        case "zstd":
            log = zstd.DecompressionParameter.window_log_max
            return functools.partial(zstd.ZstdDecompressor, options={log: window.bit_length() - 1})
        case "lz4":
            return typing.cast("Callable[[], _Stream]", lz4.frame.LZ4FrameDecompressor)
        case _:
            return _Identity


class _Stream(typing.Protocol):
    """What the decompression objects of zlib, zstd and lz4 have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Identity:
    """A body that is not compressed: it may end after any piece."""

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
    def unused_data(self) -> bytes | None:
        return self._stream.unused_data if self._stream else None

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
