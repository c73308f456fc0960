"""Statements in the engine's threads: each is awaited, stopped when its client leaves or its time is over, or let go.

The engine notices a cancellation between blocks. A statement that does not end soon after one is let go: its client is
answered, its slot is free, and its thread runs on at a low priority until it ends. How many may run on is bounded.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from gateway.errors import QueryError
from gateway.policy import Role
from gateway.response import GONE
from gateway.session import EngineSession

T = TypeVar("T")
_FIRST_TRY_SECONDS: Final = 0.1
_LONGEST_TRY_SECONDS: Final = 0.4
_GIVE_UP_SECONDS: Final = 2.0
_GIVE_UP_STOPPING_SECONDS: Final = 0.3
_LET_GO: Final = 16
_LOOK_SECONDS: Final = 1.0
STOPPING: Final = QueryError.of(394, "QUERY_WAS_CANCELLED", "Query was cancelled: the server is stopping.")


class Running:
    """The threads of `queries` statements at a time for each role."""

    def __init__(self, queries: int) -> None:
        self._most = max(_LET_GO, 4 * queries)
        self._let_go: set[asyncio.Future[Any]] = set()
        self._stopping = asyncio.Event()
        # Readers have threads of their own, since they may never come back.
        self._threads = {
            Role.READER: ThreadPoolExecutor(queries + self._most, thread_name_prefix="reading"),
            Role.WRITER: ThreadPoolExecutor(2 * queries + 2, thread_name_prefix="query"),
        }

    @property
    def let_go(self) -> int:
        """How many readers' statements run on without a client."""
        return len(self._let_go)

    async def thread(self, work: Callable[[], T]) -> T:
        """Run what ends soon, or what must end, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads[Role.WRITER], work)

    def begin(self, work: Callable[[], T], role: Role) -> "asyncio.Future[T]":
        """Run a statement in a thread. Raises QueryError when too many of readers run on, or the server stops."""
        if role is Role.READER:
            if self._stopping.is_set():
                raise STOPPING
            if len(self._let_go) >= self._most:
                raise QueryError.of(
                    202,
                    "TOO_MANY_SIMULTANEOUS_QUERIES",
                    "Too many statements cannot be stopped and still run; try again later.",
                )
        return asyncio.get_running_loop().run_in_executor(self._threads[role], work)

    async def watched(
        self,
        work: "asyncio.Future[T]",
        receive: Any,
        is_over: Callable[[float], bool] = lambda _: False,
        role: Role = Role.WRITER,
    ) -> T:
        """Wait for a work. Raises QueryError when its client leaves, or its time is over: then it still runs.

        `is_over` gets the seconds that it has run. A reader's is also over when the server stops.
        """
        gone = asyncio.ensure_future(_disconnected(receive))
        stop = asyncio.ensure_future(self._stopping.wait())
        begun = time.monotonic()
        try:
            while True:
                awaited: set[asyncio.Future[Any]] = {work, gone, *([stop] if role is Role.READER else [])}
                await asyncio.wait(awaited, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    return work.result()
                if gone.done():
                    raise GONE
                if stop.done() and role is Role.READER:
                    raise STOPPING
                if is_over(time.monotonic() - begun):
                    raise QueryError.of(
                        159, "TIMEOUT_EXCEEDED", "Timeout exceeded: the statement ran for longer than it may."
                    )
        finally:
            gone.cancel()
            stop.cancel()

    async def end(self, work: "asyncio.Future[Any]", session: EngineSession) -> None:
        """Cancel the engine's work, wait a moment for its end, and let it go when it goes on; drop its result."""
        begun = time.monotonic()
        wait = _FIRST_TRY_SECONDS
        session.work = work
        try:
            # A cancellation does not find a statement that has not yet begun, so it is repeated.
            while not work.done() and time.monotonic() - begun < self._patience:
                await self.thread(session.cancel)
                await asyncio.wait([work], timeout=wait)
                wait = min(2 * wait, _LONGEST_TRY_SECONDS)
        finally:
            if work.done():
                session.work = None
                _take(work)
            else:
                self._let_go.add(work)
                work.add_done_callback(self._let_go.discard)
                work.add_done_callback(_take)

    @property
    def _patience(self) -> float:
        return _GIVE_UP_STOPPING_SECONDS if self._stopping.is_set() else _GIVE_UP_SECONDS

    def refuse(self) -> None:
        """Begin no reader's statement any more, and end those that run."""
        self._stopping.set()

    def close(self) -> None:
        """Wait for writers' statements, and for no reader's."""
        self._threads[Role.READER].shutdown(wait=False, cancel_futures=True)
        self._threads[Role.WRITER].shutdown()


def _take(work: "asyncio.Future[Any]") -> None:
    if not work.cancelled():
        work.exception()


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
