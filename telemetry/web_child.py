"""The web process as a child of the server: started, started again when it ends, and stopped before the tables close.

The server holds the listening socket and hands it over, so the port is taken once, and a request that arrives while the
child is started again waits. The child stops when the server's end of its standard input closes, however that comes.
"""

import asyncio
import contextlib
import socket
import sys
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
from typing import Final

import structlog

log = structlog.get_logger()

_FIRST_SECONDS: Final = 0.5
_LAST_SECONDS: Final = 30.0
_STEADY_SECONDS: Final = 60.0
"""A child that ran so long begins with the shortest pause again."""
_STOP_SECONDS: Final = 5.0


def listen(host: str, port: int) -> socket.socket:
    """Return the listening socket of the web process. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=1024)


class WebChild:
    """Keeps one child running over a listening socket, which it owns.

    `url` is the ClickHouse to ask, None: the settings' own.
    """

    def __init__(self, listener: socket.socket, url: str | None) -> None:
        self._listener = listener
        self._url = url
        self._process: Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the child, and begin to watch it."""
        self._task = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """Let the child finish the requests under way, for a few seconds, and close the port."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        process = self._process
        if process is not None:
            await asyncio.to_thread(_end, process)
        self._listener.close()

    async def _keep_running(self) -> None:
        pause = _FIRST_SECONDS
        clock = asyncio.get_running_loop().time
        while True:
            begin = clock()
            try:
                self._process = await asyncio.to_thread(self._spawn)
                code: int | str = await asyncio.to_thread(self._process.wait)
            except OSError as error:
                code = type(error).__name__
            if clock() - begin > _STEADY_SECONDS:
                pause = _FIRST_SECONDS
            log.warning("The web process ended and is started again.", code=code, after_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_SECONDS)

    def _spawn(self) -> Popen[bytes]:
        """Return a new child. Popen runs no handlers for a fork, as uvloop does: gRPC's cannot be run here."""
        descriptor = self._listener.fileno()
        more = ["--url", self._url] if self._url else []
        return Popen(  # noqa: S603  ourselves
            [sys.executable, "-m", "telemetry", "web", "--listener", str(descriptor), *more],
            stdin=PIPE,
            stdout=DEVNULL,
            pass_fds=[descriptor],
            # Ctrl-C reaches the terminal's whole group: the server stops the child when it is time.
            process_group=0,
        )


def _end(process: Popen[bytes]) -> None:
    """End a child and wait for it; one that does not end in time is killed."""
    assert process.stdin is not None  # noqa: S101  it was asked for
    process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except TimeoutExpired:
        log.warning("The web process did not stop in time and is killed.")
        process.kill()
        process.wait()
