"""One HTTP request as ClickHouse's clients send it: the statement, its data, settings and credentials.

The statement is in the URL, in the body, or begins in the URL and ends in the body. The data that follows an INSERT is
passed on as it arrives, in any encoding; every other statement is read whole, up to a limit.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from gateway.errors import QueryError
from gateway.frames import Unpacker
from gateway.insert_text import split_insert
from gateway.policy import is_query_setting, setting_refused
from otlp.compression import (
    CLICKHOUSE_ENCODINGS,
    Corrupt,
    PieceDecompressor,
    TooLarge,
    Truncated,
    UnknownEncoding,
)

BROTLI: Final = "br"
_BROTLI_BYTES: Final = 1 << 20
"""The largest body in Brotli that holds a statement, as sent."""
MAX_QUERY_BYTES: Final = 256 << 10
"""The longest statement, ClickHouse's own default (`max_query_size`)."""
# The largest that a ClickHouse server reads, unless its setting zstd_window_log_max says more.
_ZSTD_WINDOW: Final = 128 << 20
_FORM_FIELDS: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The encodings that the engine can write, the cheapest first.
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
        *("max_query_size", "http_write_exception_in_output_format", "network_compression_method"),
        "network_zstd_compression_level",
    }
)

Receive = Any


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request. Query parameters are in ClickHouse's escaped form, as clients send them."""

    method: str
    url: Mapping[str, str]
    headers: Mapping[str, str]
    params: Mapping[str, str]
    settings: Mapping[str, str]
    sql: str = ""
    data_format: str | None = None
    """The format of the data after an INSERT, "" when it names none; None when there is no data."""
    data: "Body | None" = field(default=None, repr=False)
    data_compression: str = "none"
    """How the data is still compressed, by the engine's name: it decompresses Brotli itself."""

    @property
    def default_format(self) -> str | None:
        """The format for statements that do not name one."""
        return self.headers.get("x-clickhouse-format") or self.url.get("default_format")

    @property
    def input_format(self) -> str:
        """The format of the data after an INSERT."""
        return self.data_format or self.default_format or "Values"

    @property
    def revision(self) -> int:
        """The version of ClickHouse's protocol that the client announces, 0 for none."""
        value = self.url.get("client_protocol_version", "")
        return int(value) if value.isdecimal() else 0

    @property
    def encoding(self) -> str | None:
        """The Content-Encoding of the response, None for none."""
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
        """Whether a parameter of the URL is set to true."""
        return self.url.get(name, "0").lower() in {"1", "true"}


def credentials(headers: Mapping[str, str], query_string: bytes) -> tuple[str, str] | None:
    """Return the user and password from the headers or the URL, None when there are none."""
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
    method: str,
    query_string: bytes,
    headers: Mapping[str, str],
    receive: Receive,
    patience: float,
    inflate: Callable[[bytes], Awaitable[bytes]],
) -> Request:
    """Read a request to the end of its statement, waiting `patience` seconds for each piece. Raises QueryError.

    `inflate` decompresses a small body in Brotli.
    """
    pairs = parse_qsl(
        query_string.decode("latin-1"), keep_blank_values=True, encoding="utf-8", errors="replace"
    )
    url = dict(pairs)
    framed = url.get("decompress", "0") in {"1", "true"}
    encoding = headers.get("content-encoding", "").strip().lower()
    compression = "none"
    if encoding != BROTLI:
        body = Body(receive, encoding, patience, framed=framed)
    else:
        body = Body(receive, "", patience, framed=False)
        split = split_insert(url.get("query", "").encode())
        if framed:
            raise _cannot_decompress("a body is in Brotli or in ClickHouse's frames, not in both")
        if split is not None and split[1] is not None and split[2] >= len(url["query"].encode()):
            compression = BROTLI
        else:
            body.unread(await inflate(await _small(body)))
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
            36,
            "BAD_ARGUMENTS",
            f"The query parameter {wrong[0][:50]!r} has an invalid name: use letters, digits and _.",
        )
    sql, data_format = await _statement(url.get("query", ""), body)
    # These become a part of the statement after the policy has checked it.
    for named in (data_format, headers.get("x-clickhouse-format"), url.get("default_format")):
        if named and not _NAME.fullmatch(named):
            raise QueryError.of(73, "UNKNOWN_FORMAT", f"Unknown format {named[:50]!r}")
    return Request(
        method,
        url,
        headers,
        params,
        settings,
        sql,
        data_format,
        None if data_format is None else body,
        compression,
    )


async def _small(body: "Body") -> bytes:
    """Return a whole body, as sent. Raises QueryError when it is too large for a statement."""
    content = b""
    async for piece in body:
        content += piece
        if len(content) > _BROTLI_BYTES:
            raise QueryError.of(
                62,
                "SYNTAX_ERROR",
                "Syntax error: Max query size exceeded. Put an INSERT in the URL, its data here.",
            )
    return content


async def _form(headers: Mapping[str, str], body: "Body") -> dict[str, str]:
    """Read a form's fields; clients send long parameters in forms. Raises QueryError."""
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
    """Return the statement and its data's format: None without data after an INSERT, "" if it names no format."""
    text = bytearray(query.encode())
    split = split_insert(bytes(text))
    if split is not None and (split[2] < len(text) or not await body.is_empty()):
        body.unread(bytes(text[split[2] :]).lstrip())
        return split[0], split[1] or ""
    text += b"\n" if text else b""
    searched = 0
    async for piece in body:
        text += piece
        if len(text) < 2 * searched:
            continue  # otherwise a body that arrives byte by byte would be split again at every byte
        searched = len(text)
        # At least one more byte must have arrived, since the format's name could be incomplete.
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
        try:
            self._pieces = PieceDecompressor(encoding, CLICKHOUSE_ENCODINGS, _ZSTD_WINDOW)
        except UnknownEncoding as error:
            raise _cannot_decompress(str(error)) from None
        self._frames = Unpacker() if framed else None
        self._has_begun = False
        self._unread: list[bytes] = []
        self._coming: Iterator[bytes] = iter(())
        self._ended = False

    def unread(self, data: bytes) -> None:
        """Put bytes back; the next read returns them first."""
        if data:
            self._unread.insert(0, data)

    async def is_empty(self) -> bool:
        """Whether the body has ended."""
        async for piece in self:
            self.unread(piece)
            return False
        return True

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        """Yield pieces until the end. Raises QueryError for a late, incomplete or invalid body."""
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
                    209, "SOCKET_TIMEOUT", f"No more of the body arrived within {self._patience:g} seconds."
                ) from None
            if message["type"] == "http.disconnect":
                self._ended = True
                raise QueryError.of(
                    209, "SOCKET_TIMEOUT", "The client disconnected before its request ended."
                )
            self._ended = not message.get("more_body", False)
            self._coming = self._decompressed(message.get("body", b""))

    def _finish(self) -> None:
        # A statement in the URL needs no body, whichever encoding is announced for it.
        if self._has_begun:
            try:
                self._pieces.finish()
            except Truncated:
                raise QueryError.of(33, "CANNOT_READ_ALL_DATA", "The compressed body is truncated.") from None
        if self._frames:
            self._frames.finish()

    def _decompressed(self, data: bytes) -> Iterator[bytes]:
        """Yield the content piece by piece. Raises QueryError."""
        self._has_begun = self._has_begun or bool(data)
        try:
            for piece in self._pieces.feed(data):
                yield from self._frames.feed(piece) if self._frames else (piece,)
        except (Corrupt, TooLarge) as error:
            raise _cannot_decompress(str(error)) from None


def _cannot_decompress(problem: str) -> QueryError:
    return QueryError.of(89, "CANNOT_DECOMPRESS", f"{problem[:1].upper()}{problem[1:]}.")
