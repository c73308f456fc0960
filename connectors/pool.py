"""The adapters that are open: one for each connection in its present form, kept a while for the next question.

An adapter is closed when its connection was changed or was not asked for a while, and never while a question uses it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from connectors.contract import Adapter

log = structlog.get_logger()

IDLE_SECONDS: Final = 300.0
MOST: Final = 200
"""Adapters that are kept open without being used."""
_CLOSE_SECONDS: Final = 5.0


@dataclass(slots=True)
class _Open:
    adapter: Adapter
    version: str
    used: float
    users: int = 0
    is_old: bool = False


class Pool:
    """The open adapters by the id of their connection. Of one event loop."""

    def __init__(
        self, idle_seconds: float = IDLE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._idle = idle_seconds
        self._clock = clock
        self._open: dict[str, _Open] = {}
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def adapter(
        self, key: str, version: str, opened: Callable[[], Awaitable[Adapter]]
    ) -> AsyncIterator[Adapter]:
        """Yield the adapter of a connection in this version; `opened` makes it when there is none."""
        one = self._open.get(key)
        if one is None or one.version != version:
            async with self._opening:
                one = self._open.get(key)
                if one is not None and one.version != version:
                    await self.drop(key)
                    one = None
                if one is None:
                    await self.close_idle()
                    one = self._open[key] = _Open(await opened(), version, self._clock())
        one.users += 1
        try:
            yield one.adapter
        finally:
            one.users -= 1
            one.used = self._clock()
            if one.is_old and not one.users:
                await _close(one.adapter)

    async def close_idle(self) -> None:
        """Close those that were not used for a while, and the longest unused of too many."""
        now = self._clock()
        unused = sorted(
            (key for key, one in self._open.items() if not one.users), key=lambda key: self._open[key].used
        )
        surplus = len(unused) - MOST
        for place, key in enumerate(unused):
            if place < surplus or now - self._open[key].used >= self._idle:
                await self.drop(key)

    async def drop(self, key: str) -> None:
        """Close a connection's adapter, as soon as no question uses it."""
        one = self._open.pop(key, None)
        if one is None:
            return
        one.is_old = True
        if not one.users:
            await _close(one.adapter)

    async def close(self) -> None:
        """Close all that no question uses, and the others when their question ends."""
        for key in list(self._open):
            await self.drop(key)

    def __len__(self) -> int:
        return len(self._open)


async def _close(adapter: Adapter) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await adapter.close()
    except Exception as error:  # noqa: BLE001  the code of another distribution, whose end concerns no question
        log.warning("An adapter did not close.", error=type(error).__name__)
