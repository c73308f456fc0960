"""One HTTP request as ClickHouse's clients make it: the statement, the data behind it, settings and credentials.

A statement comes in the URL, in the body, or in both, one behind the other. What follows an INSERT is data, which is
handed on as it arrives, in any encoding; every other statement is read whole, up to a limit.
"""

import asyncio
import base64
import binascii
import functools
import re
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

import lz4.frame
import zstandard
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from clickhouse.http.errors import QueryError
from clickhouse.http.frames import Unpacker
from clickhouse.http.policy import is_query_setting, setting_refused
from clickhouse.http.statement import split_insert

MAX_QUERY_BYTES: Final = 256 << 10
"""The longest statement, ClickHouse's own default (`max_query_size`)."""
_SLICE: Final = 8 << 10
_ZSTD_SLICE: Final = 256
_FORM_FIELDS: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What the engine can compress with, the cheapest for it first.
_ENCODINGS: Final = ("lz4", "zstd", "gzip", "br", "deflate")
# Parameters that belong to HTTP or change nothing here.
_OURS: Final = frozenset(
    {
        *(
            "query",
            "database",
            "default_format",
            "user",
            "password",
            "query_id",
            "session_id",
            "session_timeout",
        ),
        *(
            "session_check",
            "wait_end_of_query",
            "buffer_size",
            "compress",
            "decompress",
            "enable_http_compression",
        ),
        *(
            "http_zlib_compression_level",
            "quota_key",
            "log_comment",
            "readonly",
            "client_protocol_version",
            "role",
        ),
        *(
            "client_name",
            "stacktrace",
            "cancel_http_readonly_queries_on_client_close",
            "http_response_buffer_size",
        ),
        *("max_query_size", "http_write_exception_in_output_format"),
    }
)

Receive = Any


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks. Query parameters are in ClickHouse's escaped form, as clients send them."""

    method: str
    url: Mapping[str, str]
    headers: Mapping[str, str]
    params: Mapping[str, str]
    settings: Mapping[str, str]
    sql: str = ""
    data_format: str | None = None
    """The format of the data behind an INSERT, "" when it names none; None when there is no data."""
    data: "Body | None" = field(default=None, repr=False)

    @property
    def default_format(self) -> str | None:
        """The format for statements that do not name one."""
        return self.headers.get("x-clickhouse-format") or self.url.get("default_format")

    @property
    def input_format(self) -> str:
        """The format of the data behind an INSERT."""
        return self.data_format or self.default_format or "Values"

    @property
    def revision(self) -> int:
        """The version of ClickHouse's protocol that the client announces, 0 for none."""
        value = self.url.get("client_protocol_version", "")
        return int(value) if value.isdecimal() else 0

    @property
    def encoding(self) -> str | None:
        """The Content-Encoding to answer in, None for none."""
        if self.url.get("enable_http_compression", "1") == "0":
            return None
        offers = [offer.replace(" ", "") for offer in self.headers.get("accept-encoding", "").split(",")]
        names = {
            name
            for name, _, weight in (offer.partition(";") for offer in offers)
            if weight not in {"q=0", "q=0.0"}
        }
        return next((name for name in _ENCODINGS if name in names), None)

    def flag(self, name: str) -> bool:
        """Tell whether a parameter of the URL is set to true."""
        return self.url.get(name, "0").lower() in {"1", "true"}


def credentials(headers: Mapping[str, str], query_string: bytes) -> tuple[str, str] | None:
    """Give user and password from the headers or the URL, None when there are none."""
    if "x-clickhouse-user" in headers:
        return headers["x-clickhouse-user"], headers.get("x-clickhouse-key", "")
    kind, _, encoded = headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user, password
    url = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
    return (url["user"], url.get("password", "")) if "user" in url else None


async def read(
    method: str, query_string: bytes, headers: Mapping[str, str], receive: Receive, patience: float
) -> Request:
    """Read a request up to where its statement ends, waiting `patience` seconds for each piece. Raises QueryError."""
    pairs = parse_qsl(
        query_string.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace"
    )
    url = dict(pairs)
    framed = url.get("decompress", "0") in {"1", "true"}
    body = Body(receive, headers.get("content-encoding", ""), patience, framed=framed)
    if headers.get("content-type", "").startswith("multipart/"):
        url |= await _form(headers, body)
    params = {name[6:]: value for name, value in url.items() if name.startswith("param_")}
    settings = {
        name: value for name, value in url.items() if name not in _OURS and not name.startswith("param_")
    }
    for name in settings:
        if not is_query_setting(name):
            raise setting_refused(name)
    if wrong := [name for name in params if not _NAME.fullmatch(name)]:
        raise QueryError.of(
            36, "BAD_ARGUMENTS", f"The query parameter {wrong[0][:50]!r} has a name that none can have."
        )
    sql, data_format = await _statement(url.get("query", ""), body)
    # These become a part of the statement, behind what was judged.
    for named in (data_format, headers.get("x-clickhouse-format"), url.get("default_format")):
        if named and not _NAME.fullmatch(named):
            raise QueryError.of(73, "UNKNOWN_FORMAT", f"Unknown format {named[:50]!r}")
    return Request(
        method, url, headers, params, settings, sql, data_format, None if data_format is None else body
    )


async def _form(headers: Mapping[str, str], body: "Body") -> dict[str, str]:
    """Read a form's fields, in which clients send long parameters. Raises QueryError."""
    parser = MultiPartParser(
        Headers(headers), aiter(body), max_files=0, max_fields=_FORM_FIELDS, max_part_size=MAX_QUERY_BYTES
    )
    try:
        form = await parser.parse()
    except MultiPartException:
        raise QueryError.of(
            48,
            "NOT_IMPLEMENTED",
            f"A form may have {_FORM_FIELDS} fields of {MAX_QUERY_BYTES} bytes each, and no external tables.",
        ) from None
    return {name: value for name, value in form.items() if isinstance(value, str)}


async def _statement(query: str, body: "Body") -> tuple[str, str | None]:
    """Read the statement, and the format of its data if it is an INSERT with data; "" if that is not named."""
    text = bytearray(query.encode())
    split = split_insert(bytes(text))
    if split is not None and (split[2] < len(text) or not await body.is_empty()):
        body.unread(bytes(text[split[2] :]).lstrip())
        return split[0], split[1] or ""
    text += b"\n" if text else b""
    looked_at = 0
    async for piece in body:
        text += piece
        if len(text) < 2 * looked_at:
            continue  # or a body that comes byte by byte is looked at as often
        looked_at = len(text)
        # One byte more must be there, or a name may be cut.
        split = split_insert(bytes(text[:MAX_QUERY_BYTES]))
        if len(text) > MAX_QUERY_BYTES or (split and split[1] and split[2] + 1 < len(text)):
            break
    else:
        split = split_insert(bytes(text[:MAX_QUERY_BYTES]))
    if split and split[1] and split[2] <= MAX_QUERY_BYTES:
        body.unread(bytes(text[split[2] :]))
        return split[0], split[1]
    if len(text) > MAX_QUERY_BYTES:
        raise QueryError.of(
            62,
            "SYNTAX_ERROR",
            f"Syntax error: Max query size exceeded: statements may have {MAX_QUERY_BYTES} bytes.",
        )
    return text.decode("utf-8", "replace").strip(), None


class Body:
    """A request's body, decompressed as it arrives."""

    def __init__(self, receive: Receive, encoding: str, patience: float, *, framed: bool) -> None:
        self._receive = receive
        self._patience = patience
        self._decode = _decoder(encoding.strip().lower())
        self._frames = Unpacker() if framed else None
        # A byte of deflate makes 1032 at most, one of zstd 32,768.
        self._slice = _ZSTD_SLICE if encoding.strip().lower() == "zstd" else _SLICE
        self._unread: list[bytes] = []
        self._coming: Iterator[bytes] = iter(())
        self._ended = False

    def unread(self, data: bytes) -> None:
        """Put bytes back, to be given again first."""
        if data:
            self._unread.insert(0, data)

    async def is_empty(self) -> bool:
        """Tell whether nothing is left."""
        async for piece in self:
            self.unread(piece)
            return False
        return True

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield pieces until the end. Raises QueryError for a body that is not what it says."""
        while True:
            if self._unread:
                yield self._unread.pop(0)
                continue
            piece = next(self._coming, None)
            if piece is not None:
                if piece:
                    yield piece
                continue
            if self._ended:
                self._finish()
                return
            try:
                message = await asyncio.wait_for(self._receive(), self._patience)
            except TimeoutError:
                raise QueryError.of(
                    209, "SOCKET_TIMEOUT", f"Nothing more of the body came within {self._patience:g} seconds."
                ) from None
            if message["type"] == "http.disconnect":
                self._ended = True
                raise QueryError.of(209, "SOCKET_TIMEOUT", "The client went away before its request ended.")
            self._ended = not message.get("more_body", False)
            self._coming = self._decompressed(message.get("body", b""))

    def _finish(self) -> None:
        if not self._decode.is_complete:
            raise QueryError.of(33, "CANNOT_READ_ALL_DATA", "The compressed body is truncated.")
        if self._frames:
            self._frames.finish()

    def _decompressed(self, data: bytes) -> Iterator[bytes]:
        """Yield the content piece by piece, so that no step makes more than 8 MiB of it."""
        for at in range(0, len(data), self._slice):
            try:
                piece = self._decode.decompress(data[at : at + self._slice])
            except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError):
                raise QueryError.of(
                    89,
                    "CANNOT_DECOMPRESS",
                    "The body is not what its Content-Encoding says: gzip, deflate, zstd or lz4.",
                ) from None
            yield from self._frames.feed(piece) if self._frames else (piece,)


class _Stream(Protocol):
    """What zlib's, zstandard's and lz4's decompression objects have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Decoder:
    """Decompresses members or frames that follow each other."""

    def __init__(self, open_stream: Callable[[], _Stream]) -> None:
        self._open = open_stream
        self._stream: _Stream | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the body may end here."""
        return self._stream is None or self._stream.eof

    def decompress(self, data: bytes) -> bytes:
        """Take the next bytes."""
        content = b""
        while data:
            if self._stream is None or self._stream.eof:
                self._stream = self._open()
            content += self._stream.decompress(data)
            data = self._stream.unused_data or b"" if self._stream.eof else b""
        return content


class _Identity(_Decoder):
    """A body that is sent as it is."""

    def __init__(self) -> None:
        super().__init__(zlib.decompressobj)

    def decompress(self, data: bytes) -> bytes:
        """Give the bytes back."""
        return data


def _decoder(encoding: str) -> _Decoder:
    match encoding:
        case "" | "identity":
            return _Identity()
        case "gzip":
            return _Decoder(functools.partial(zlib.decompressobj, 16 + zlib.MAX_WBITS))
        case "deflate":
            return _Decoder(zlib.decompressobj)
        case "zstd":
            return _Decoder(zstandard.ZstdDecompressor().decompressobj)
        case "lz4":
            return _Decoder(lz4.frame.LZ4FrameDecompressor)
        case _:
            raise QueryError.of(
                89,
                "CANNOT_DECOMPRESS",
                "Unknown Content-Encoding: send identity, gzip, deflate, zstd or lz4.",
            )
