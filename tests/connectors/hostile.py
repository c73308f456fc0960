"""Systems that answer as none should: servers on loopback that a test scripts byte by byte."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Hostile:
    """A running server: its address, the requests that came (heads), and whether a client went away."""

    url: str = ""
    heads: list[bytes] = field(default_factory=list)
    has_request: asyncio.Event = field(default_factory=asyncio.Event)
    is_left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client closes its connection before it has its answer."""

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])


Script = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Writes what is to be answered to a request's head; then the connection is closed."""


@asynccontextmanager
async def hostile(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hostile]:
    """Run a server that reads a request's head and does as the script says."""
    here = Hostile()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            here.heads.append(head)
            here.has_request.set()
            answer = asyncio.ensure_future(script(head, writer))
            leaving = asyncio.ensure_future(_gone(reader))
            try:
                await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done() and not answer.done():
                    here.is_left.set()
                elif answer.done():
                    answer.result()
            finally:
                for one in (answer, leaving):
                    one.cancel()
                await asyncio.gather(answer, leaving, return_exceptions=True)
        except (asyncio.IncompleteReadError, ConnectionError):
            here.is_left.set()
        finally:
            writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    here.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield here
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def answer(status: str, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    """Return the bytes of a whole answer, after which the connection is closed."""
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def saying(status: str, body: bytes, *headers: str, kind: str = "application/json") -> Script:
    """Return a script that always gives the same answer."""

    async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, body, *headers, kind=kind))
        await writer.drain()

    return script


def echoing(status: str) -> Script:
    """Return a script that answers with the request's own headers, credentials and all."""

    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, head, kind="text/plain"))
        await writer.drain()

    return script


async def silence(_head: bytes, _writer: asyncio.StreamWriter) -> None:
    """Answer nothing, for ever."""
    await asyncio.Event().wait()


def endless(start: bytes, pieces: Sequence[bytes], kind: str = "application/json", *headers: str) -> Script:
    """Return a script that answers 200 with a beginning, and then with the same pieces for ever."""

    async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
        lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", "Transfer-Encoding: chunked", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + _chunk(start))
        while True:
            for piece in pieces:
                writer.write(_chunk(piece))
                await writer.drain()

    return script


def _chunk(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if piece else b""


async def _gone(reader: asyncio.StreamReader) -> None:
    while await reader.read(1 << 16):
        pass
