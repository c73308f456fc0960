"""HTTP servers inside the event loop: one ASGI application, one port, bounded headers and time.

uvicorn does the work. Three things are added: it leaves signals alone, since several servers share a process;
a client that does not finish its request's headers in time is dropped (slowloris); and idle it does not wake.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import formatdate
from functools import lru_cache
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# More than any OTLP client sends; a flood is answered 400.
_MAX_HEADER_BYTES = 32 << 10
_MAX_CONNECTIONS = 1024


class WebServer:
    """One listening application."""

    def __init__(
        self,
        app: Any,
        header_timeout_seconds: float,
        tls: ssl.SSLContext | None = None,
        *,
        connections: int = _MAX_CONNECTIONS,
    ) -> None:
        self._config = uvicorn.Config(
            app,
            http=type("Protocol", (_Protocol,), {"header_timeout_seconds": header_timeout_seconds}),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=connections,
            timeout_keep_alive=75,
            ssl_context_factory=(lambda *_: tls) if tls else None,
        )
        self._server = _Server(self._config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and serve in a task; return the port."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return await self.start_on(socket.create_server((host, port), family=family, backlog=1024))

    async def start_on(self, listener: socket.socket) -> int:
        """Serve on an open socket in a task; return its port."""
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.005)
        return int(listener.getsockname()[1])

    async def stop(self, grace_seconds: float) -> None:
        """Take no new connections, and let requests under way finish within the grace."""
        self._config.timeout_graceful_shutdown = max(1, round(grace_seconds))
        self._server.end()
        if self._task is not None:
            await self._task


class _Server(uvicorn.Server):
    """Told to end, where uvicorn's looks ten times a second whether it should: idle, that is most of what wakes."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Stop taking connections."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        """Wait for the end: the protocol sets the date that uvicorn would set here each second."""
        await self._ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(HttpToolsProtocol):
    """httptools with bounds of bytes and time for all but bodies: heads, trailers, what surrounds chunks.

    The time runs from the connection, or from the first byte of a head. It also applies to the rest of a body whose
    request is answered already, such as a refused one.
    """

    header_timeout_seconds: float
    _deadline: asyncio.TimerHandle | None = None
    _unused_bytes = 0
    """What came since a head, a piece of a body or a request was whole."""
    _head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._arm()

    def data_received(self, data: bytes) -> None:
        self.server_state.default_headers = [_date(int(time.time())), *self.config.encoded_headers]
        self._unused_bytes += len(data)
        super().data_received(data)
        if self._unused_bytes > _MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too large.")
        if self.cycle is not None and not self.cycle.response_complete:
            self._disarm()
        elif self._deadline is None:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name + value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unused_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused_bytes = 0
        super().on_message_complete()

    def _count(self, part: bytes) -> None:
        """Add a part of a request's head, or of what follows its body. Raises ValueError, answered 400."""
        self._head_bytes += len(part)
        if self._head_bytes > _MAX_HEADER_BYTES:
            raise ValueError

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(self.header_timeout_seconds, self.transport.close)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


@lru_cache(1)
def _date(seconds: int) -> tuple[bytes, bytes]:
    """Return the header of a response that is made at this time."""
    return b"date", formatdate(seconds, usegmt=True).encode()
