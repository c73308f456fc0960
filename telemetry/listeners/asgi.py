"""HTTP servers inside the event loop: one ASGI application, one port, bounded headers and time.

uvicorn does the work. Three things are added: it leaves signals alone, since several servers share a process;
a client that does not finish its request's headers in time is dropped (slowloris); and idle it wakes once a second.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

# More than any OTLP client sends; a flood is answered 400 by h11.
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
            http=_protocol(header_timeout_seconds),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
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
        """Renew the headers' date each second, at the same moment in every server of the process, until the end."""
        while not self.should_exit:
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), 1 - time.time() % 1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _protocol(header_timeout_seconds: float) -> type[H11Protocol]:
    class Protocol(H11Protocol):
        """h11 with a deadline for headers, from the connection or from their first byte.

        It also applies to the rest of a body whose request is answered already, such as a refused one.
        """

        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._arm()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            states = self.conn.our_state, self.conn.their_state
            unfinished = self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]
            if not unfinished and states != (h11.DONE, h11.SEND_BODY):
                self._disarm()
            elif self._deadline is None:
                self._arm()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def _arm(self) -> None:
            self._deadline = self.loop.call_later(header_timeout_seconds, self.transport.close)

        def _disarm(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return Protocol
