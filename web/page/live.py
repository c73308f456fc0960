"""Notifies open pages of new data, over server-sent events: one look at the store serves all of them.

The store is asked only while a page is open, and the pages ask for what they show themselves. Those who renew the same
view after the same change share its answers, however many they are: what is kept from before the change is dropped.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from access.cache import AGGREGATION_BYTES, QUERY_BYTES, Cache
from access.reading import Desk, Reading
from access.refusal import Refusal
from access.tail import newest_insert

LOOK_SECONDS: Final = 1.0
_KEEP_SECONDS: Final = 20.0
"""A line is sent at least so often, so that a connection that has gone is noticed."""
VIEWERS: Final = 200
"""Pages that are told at a time; further ones are not, and show what they showed when they were opened."""


class Live:
    """The open pages, and the task that looks for new data while there are any."""

    def __init__(self, desk: Desk, seconds: float = LOOK_SECONDS) -> None:
        # Looks are the server's own, and count for no caller's rate.
        self._reading = desk.reading("")
        self._desk = desk
        self._renewed = _renewed(desk)
        self._seconds = seconds
        self._heard: set[asyncio.Queue[str]] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether no further page can be told."""
        return len(self._heard) >= VIEWERS

    def reading(self, caller: str) -> Reading:
        """Return the desk as a view has it that shows the present: no answer is from before the last change."""
        return self._renewed.reading(caller)

    async def events(self) -> AsyncIterator[str]:
        """Yield the lines for one page until it is closed."""
        mine: asyncio.Queue[str] = asyncio.Queue(1)
        self._heard.add(mine)
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
            if not self._heard and self._task is not None:
                self._task.cancel()

    async def _look(self) -> None:
        known: int | str | None = None
        was_away = False
        while True:
            try:
                newest = await asyncio.to_thread(newest_insert, self._reading)
            except Refusal:
                self._tell("away" if not was_away else "")
                was_away = True
            else:
                if was_away or (known is not None and newest != known):
                    self._renewed = _renewed(self._desk)
                    self._tell("fresh")
                known, was_away = newest, False
            await asyncio.sleep(self._seconds)

    def _tell(self, event: str) -> None:
        if not event:
            return
        for one in self._heard:
            # A page that has not taken the last event yet learns nothing new from a second one.
            if one.empty():
                one.put_nowait(f"event: {event}\ndata: 1\n\n")


def _renewed(desk: Desk) -> Desk:
    """Return a desk that has kept nothing yet, and keeps for a moment: while no page is open, no change is noticed."""
    return replace(
        desk, queries=Cache(LOOK_SECONDS, QUERY_BYTES), aggregations=Cache(LOOK_SECONDS, AGGREGATION_BYTES)
    )
