"""One response: whole or as it is made, in frames or not, with ClickHouse's headers and its way to end in an error.

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

from clickhouse.http import frames
from clickhouse.http.errors import QueryError
from clickhouse.http.session import Summary

GONE: Final = QueryError.of(394, "QUERY_WAS_CANCELLED", "Query was cancelled: its client went away.")
_UNAUTHORIZED: Final = 401
_SPOOL: Final = 16 << 20
_BUFFER: Final = 1 << 20


class Answer:
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

    async def whole(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        """Send all of it, framed if the client wants frames."""
        if self.framed:
            data = b"".join(
                frames.pack(data[at : at + frames.CONTENT]) for at in range(0, len(data), frames.CONTENT)
            )
        await self._begin(status, {"content-length": str(len(data)), **headers})
        await self._send({"type": "http.response.body", "body": data})

    async def stream(
        self, source: int, work: "asyncio.Future[Summary]", limit: float, *, everything_first: bool
    ) -> None:
        """Send what comes out of a pipe, whole if it is small.

        Raises the work's QueryError, and one of ours past `limit` bytes.
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
        """Answer with an error; behind what was already sent, if anything was, and then the response has no end."""
        text = f"{error.text} (version {version} (official build))\n"
        if not self._begun:
            self.encoding, self.framed = None, False
            headers = {
                "X-ClickHouse-Exception-Code": str(error.code),
                "content-type": "text/plain; charset=UTF-8",
            }
            if error.status == _UNAUTHORIZED:
                headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
            await self.whole(error.status, text.encode(), headers)
        elif not self.encoding and not self.framed and error is not GONE:
            edge = "\r\n__exception__\r\n"
            mark = f"{edge}{self._tag}\r\n{text}{len(text.encode())} {self._tag}{edge}"
            await self._send({"type": "http.response.body", "body": mark.encode(), "more_body": True})

    async def _pieces(self, source: int, limit: float) -> AsyncIterator[bytes]:
        waiting = bytearray()
        size = 0
        async for piece in _read_pipe(source):
            size += len(piece)
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
    """Read a pipe to its end, no faster than it is taken. Leaves it open.

    The event loop's own pipes are not used: uvloop closes a pipe's descriptor twice, and by the second time it can be
    another thread's.
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
    """Give a format's media type, as a server does."""
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
    """Keep a client's query id from ending a header."""
    return "".join(letter for letter in text[:256] if letter.isprintable() and letter.isascii())
