"""A view whose parts are sent as they are answered: its head at once, then each part in its place, in their order.

A template writes `slot(NAME)` where a part stands. The parts are asked for side by side, a few at a time. What goes
wrong in one is said in its place, since the status is sent by then; the others are shown.
"""

import asyncio
import inspect
import re
import secrets
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

Ask = Callable[[], Any]
"""Called in a thread; a coroutine function, which does its own waiting, in the event loop."""
SIDE_BY_SIDE: Final = 3
"""Questions of one view that are asked at a time: the store answers a few at once, and others ask too."""
_LEVEL: Final = 5
"""Of gzip: a view is compressed to a sixth, for less than a millisecond of work."""
_GZIP: Final = 31


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a view: what is asked, and what writes the answers."""

    asks: Sequence[Ask]
    written: Callable[[Sequence[Any]], str]


class Slots:
    """The marks of parts in a rendered view. They hold a secret: no address and no telemetry can write one."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(16)
        self._found = re.compile(f"{self._mark}<([a-z0-9-]+)>")

    def slot(self, name: str) -> Markup:
        """Return the mark of a part, for its place in a template."""
        return Markup(f"{self._mark}<{name}>")  # noqa: S704  a constant of a template

    def split(self, text: str) -> list[str]:
        """Return the text before, between and after the marks, and the names between these."""
        return self._found.split(text)


async def gathered(*asks: Ask) -> list[Any]:
    """Ask several things, a few at a time."""
    limit = asyncio.Semaphore(SIDE_BY_SIDE)
    return list(await asyncio.gather(*(_asked(ask, limit) for ask in asks)))


async def streamed(
    pieces: Sequence[str], parts: Mapping[str, Part], failed: Callable[[Exception], str]
) -> AsyncIterator[str]:
    """Yield a view that Slots have split, its parts in their places. `failed` writes what a part's exception says."""
    limit = asyncio.Semaphore(SIDE_BY_SIDE)
    names = [name for name in pieces[1::2] if name in parts]
    asked = {name: [asyncio.create_task(_asked(ask, limit)) for ask in parts[name].asks] for name in names}
    everything = [task for tasks in asked.values() for task in tasks]
    try:
        yield pieces[0]
        for name, after in zip(pieces[1::2], pieces[2::2], strict=True):
            if name in asked:
                try:
                    made = parts[name].written(await asyncio.gather(*asked[name]))
                except Exception as error:  # noqa: BLE001  the edge of the service; the caller counts and logs it
                    made = failed(error)
                yield made
            yield after
    finally:
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)


async def packed(texts: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """Yield texts in gzip, each so that a browser can read it before the next one comes."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    async for text in texts:
        if text:
            yield packer.compress(text.encode()) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()


async def plain(texts: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """Yield texts as they are."""
    async for text in texts:
        yield text.encode()


async def _asked(ask: Ask, limit: asyncio.Semaphore) -> Any:
    async with limit:
        return await (ask() if inspect.iscoroutinefunction(ask) else asyncio.to_thread(ask))
