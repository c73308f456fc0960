"""Notifies open pages of new data, over server-sent events: one look at the store serves all of them.

The store is asked only while a page is open, and the pages ask for what they show themselves. Those who renew the same
part after the same change share it as it was written, however many they are: what is from before the change is dropped.
Pages are told again only after a rest that is as long as the work that they made times REST, so that readers leave the
store most of its time, whatever they look at and however slow it is.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from access.cache import AGGREGATION_BYTES, QUERY_BYTES, Cache
from access.reading import Desk, Reading
from access.refusal import Refusal
from access.tail import newest_insert

T = TypeVar("T")

LOOK_SECONDS: Final = 0.5
SHARED_SECONDS: Final = 1.0
"""A part is shared no longer, since it also says how long ago things were."""
REST: Final = 2.0
LONGEST_REST_SECONDS: Final = 10.0
_KEEP_SECONDS: Final = 20.0
"""A line is sent at least so often, so that a connection that has gone is noticed."""
VIEWERS: Final = 200
"""Pages that are told at a time; further ones are not, and show what they showed when they were opened."""


@dataclass(slots=True, eq=False)
class _Work:
    """A part that is being made for all who ask, or was: when it was begun, and when it ended."""

    task: asyncio.Future[Any]
    begun: float
    ended: float | None = None


class Live:
    """The open pages, and the task that looks for new data while there are any."""

    def __init__(self, desk: Desk, seconds: float = LOOK_SECONDS) -> None:
        # Looks are the server's own, and count for no caller's rate.
        self._reading = desk.reading("")
        self._desk = desk
        self._renewed = _renewed(desk)
        self._seconds = seconds
        self._heard: set[asyncio.Queue[str]] = set()
        self._new: set[asyncio.Queue[str]] = set()
        """Those whose page was made before they were heard: what arrived between, they have not been told of."""
        self._task: asyncio.Task[None] | None = None
        self._shared: dict[tuple[str, ...], _Work] = {}
        self._running: list[_Work] = []
        self._spent = 0.0
        """Seconds that parts took which were made since the pages were told last."""

    @property
    def is_full(self) -> bool:
        """Whether no further page can be told."""
        return len(self._heard) >= VIEWERS

    def reading(self, caller: str) -> Reading:
        """Return the desk as a view has it that shows the present: no answer is from before the last change."""
        return self._renewed.reading(caller)

    async def shared(self, key: tuple[str, ...], make: Callable[[], Awaitable[T]]) -> T:
        """Return what `make` returns: made once for all who ask for this key until the next change, or for a moment.

        The key names all that the part depends on: what it is, its filters, and what its readers may see. What `make`
        raises is raised to each of those who wait, and not kept.
        """
        now = asyncio.get_running_loop().time()
        work = self._shared.get(key)
        if work is None or (work.ended is not None and now - work.ended >= SHARED_SECONDS):
            self._shared = {
                other: one
                for other, one in self._shared.items()
                if one.ended is None or now - one.ended < SHARED_SECONDS
            }
            work = self._shared[key] = _Work(asyncio.ensure_future(make()), now)
            self._running.append(work)
            work.task.add_done_callback(lambda _: self._end(key, work))
        # One reader who leaves breaks nothing off for the others.
        result: T = await asyncio.shield(work.task)
        return result

    async def events(self) -> AsyncIterator[str]:
        """Yield the lines for one page until it is closed."""
        mine: asyncio.Queue[str] = asyncio.Queue(1)
        self._heard.add(mine)
        self._new.add(mine)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            yield "retry: 3000\n\n"
            while True:
                try:
                    async with asyncio.timeout(_KEEP_SECONDS):
                        yield await mine.get()
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._heard.discard(mine)
            self._new.discard(mine)
            if not self._heard and self._task is not None:
                self._task.cancel()

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        known: int | str | None = None
        was_away = False
        told = clock()
        while True:
            try:
                newest = await asyncio.to_thread(newest_insert, self._reading)
            except Refusal:
                if not was_away:
                    self._tell("away")
                was_away = True
            else:
                if was_away or newest != known:
                    self._renewed = _renewed(self._desk)
                    self._shared, self._spent = {}, 0.0
                    self._tell("fresh")
                    told = clock()
                else:
                    self._tell("fresh", self._new)
                self._new.clear()
                known, was_away = newest, False
            await asyncio.sleep(self._seconds)
            while (left := told + self._rest(clock()) - clock()) > 0:  # noqa: ASYNC110  grows while parts are made
                await asyncio.sleep(left)

    def _rest(self, now: float) -> float:
        """Return how long pages are not told again after they were told."""
        running = sum(now - one.begun for one in self._running)
        return min(REST * (self._spent + running), LONGEST_REST_SECONDS)

    def _end(self, key: tuple[str, ...], work: _Work) -> None:
        work.ended = asyncio.get_running_loop().time()
        self._running.remove(work)
        self._spent += work.ended - work.begun
        failed = work.task.cancelled() or work.task.exception() is not None
        if failed and self._shared.get(key) is work:
            del self._shared[key]

    def _tell(self, event: str, whom: Iterable[asyncio.Queue[str]] | None = None) -> None:
        for one in self._heard if whom is None else whom:
            # A page that has not taken the last event yet learns nothing new from a second one.
            if one.empty():
                one.put_nowait(f"event: {event}\ndata: 1\n\n")


def _renewed(desk: Desk) -> Desk:
    """Return a desk that has kept nothing yet, and keeps for a moment: while no page is open, no change is noticed."""
    return replace(
        desk,
        queries=Cache(SHARED_SECONDS, QUERY_BYTES),
        aggregations=Cache(SHARED_SECONDS, AGGREGATION_BYTES),
    )
