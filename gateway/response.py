"""One response: whole or streamed, in frames or not, with ClickHouse's headers and its form of a late error.

Source: https://clickhouse.com/docs/interfaces/http
"""

import asyncio
import os
import re
import secrets
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from gateway import frames
from gateway.errors import QueryError
from gateway.session import Summary

GONE: Final = QueryError.of(394, "QUERY_WAS_CANCELLED", "Query was cancelled: its client disconnected.")
_UNAUTHORIZED: Final = 401
_SPOOL: Final = 16 << 20
_BUFFER: Final = 1 << 20


class Response:
    """One response, with ClickHouse's headers."""

    def __init__(self, send: Any, timezone: str) -> None:
        self._send = send
        self._timezone = timezone
        self._begun = False
        self._tag = secrets.token_hex(8)
        self.query_id = str(uuid.uuid4())
        self.format = "TabSeparated"
        self.has_result = False
        self.encoding: str | None = None
        self.framed = False
        self.frames_errors = False
        """Whether the client expects frames, of errors too."""
        self.is_arriving = False
        """Whether the engine has written a part of the result."""

    async def whole(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        """Send the whole response, in frames if the client requested frames."""
        if self.framed:
            data = b"".join(
                frames.pack(data[at : at + frames.CONTENT]) for at in range(0, len(data), frames.CONTENT)
            )
        await self._begin(status, {"content-length": str(len(data)), **headers})
        await self._send({"type": "http.response.body", "body": data})

    async def stream(
        self, source: int, work: "asyncio.Future[Summary]", limit: float, *, everything_first: bool
    ) -> None:
        """Send the content of a pipe, whole if it is small.

        Raises the work's QueryError, and a QueryError when the content exceeds `limit` bytes.
        """
        with tempfile.SpooledTemporaryFile(_SPOOL) as kept:
            pieces = self._pieces(source, limit)
            async for piece in pieces:
                kept.write(piece)
                if kept.tell() >= _BUFFER and not everything_first:
                    break
            else:
                summary = await asyncio.shield(work)
                size = kept.tell()
                await self._begin(200, {**self._content(summary), "content-length": str(size)})
                await self._send_file(kept, more=False)
                return
            await self._begin(200, {**self._content(Summary()), "X-ClickHouse-Exception-Tag": self._tag})
            await self._send_file(kept, more=True)
        async for piece in pieces:
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.shield(work)
        await self._send({"type": "http.response.body"})

    async def fail(self, error: QueryError, version: str) -> None:
        """Send an error. When the response has begun, append the error to it and leave the response without an end."""
        text = f"{error.text} (version {version} (official build))\n"
        if not self._begun:
            self.encoding, self.framed = None, self.frames_errors
            headers = {
                "X-ClickHouse-Exception-Code": str(error.code),
                "content-type": "text/plain; charset=UTF-8",
            }
            if error.status == _UNAUTHORIZED:
                headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
            await self.whole(error.status, text.encode(), headers)
        elif not self.encoding and error is not GONE:
            edge = "\r\n__exception__\r\n"
            mark = f"{edge}{self._tag}\r\n{text}{len(text.encode())} {self._tag}{edge}"
            body = frames.pack(mark.encode()) if self.framed else mark.encode()
            await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _pieces(self, source: int, limit: float) -> AsyncIterator[bytes]:
        waiting = bytearray()
        size = 0
        async for piece in _read_pipe(source):
            size += len(piece)
            self.is_arriving = True
            if size > limit:
                raise QueryError.of(
                    396, "TOO_MANY_ROWS_OR_BYTES", f"Limit for result exceeded, max bytes: {limit:.0f}."
                )
            if not self.framed:
                yield piece
                continue
            waiting += piece
            while len(waiting) >= frames.CONTENT:
                yield frames.pack(bytes(waiting[: frames.CONTENT]))
                del waiting[: frames.CONTENT]
        if waiting:
            yield frames.pack(bytes(waiting))

    def _content(self, summary: Summary) -> dict[str, str]:
        headers = {"X-ClickHouse-Summary": summary.header()}
        return {**headers, "content-encoding": self.encoding} if self.encoding else headers

    async def _send_file(self, file: Any, *, more: bool) -> None:
        file.seek(0)
        while piece := file.read(_BUFFER):
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        if not more:
            await self._send({"type": "http.response.body"})

    async def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self._begun = True
        every = {
            "content-type": media_type(self.format),
            "X-ClickHouse-Server-Display-Name": "telemetry",
            "X-ClickHouse-Query-Id": self.query_id,
            **({"X-ClickHouse-Format": self.format} if self.has_result else {}),
            "X-ClickHouse-Timezone": self._timezone,
            **headers,
        }
        encoded = [
            (name.lower().encode(), _printable(value).encode("latin-1")) for name, value in every.items()
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})


async def _read_pipe(source: int) -> AsyncIterator[bytes]:
    """Yield the content of a pipe to its end, no faster than the caller takes it. Leaves the pipe open.

    The event loop's own pipe transport is not used: uvloop closes a pipe's descriptor twice, and at the second time
    the number can belong to another thread's file.
    """
    loop = asyncio.get_running_loop()
    os.set_blocking(source, False)
    while True:
        try:
            piece = os.read(source, _BUFFER)
        except BlockingIOError:
            ready = asyncio.Event()
            loop.add_reader(source, ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_reader(source)
            continue
        if not piece:
            return
        yield piece


def media_type(output_format: str) -> str:
    """Return a format's media type, as a ClickHouse server sends it."""
    header = "present" if "WithNames" in output_format else "absent"
    rules = (
        (r"JSON\w*EachRow\w*", "application/x-ndjson; charset=UTF-8"),
        (r"JSON\w*", "application/json; charset=UTF-8"),
        (r"CSV\w*", f"text/csv; charset=UTF-8; header={header}"),
        (r"(TabSeparated|TSV)\w*", "text/tab-separated-values; charset=UTF-8"),
        (
            r"Native|RowBinary\w*|Parquet|Arrow\w*|ORC|Avro|MsgPack|Protobuf\w*|BSONEachRow",
            "application/octet-stream",
        ),
        (r"XML", "application/xml; charset=UTF-8"),
        (r"Markdown", "text/markdown; charset=UTF-8"),
    )
    return next(
        (media for pattern, media in rules if re.fullmatch(pattern, output_format)),
        "text/plain; charset=UTF-8",
    )


def _printable(text: str) -> str:
    """Return a header's value without the characters of a client's query id that could end the header."""
    return "".join(letter for letter in text[:256] if letter.isprintable() and letter.isascii())
