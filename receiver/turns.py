"""Whose requests are stored next, so that a client whose requests take long holds up itself and no other.

What a request will cost is not known before its rows are made: a text can be made so that it is searched a hundred
times longer than others of its size. So clients are known by what their last requests cost. A client is a sender and
its connection, and there are three kinds of requests:

* of clients whose requests cost what requests do: they are stored together, as many as fit in a batch;
* small ones of clients that are not known yet: a few of them are stored beside these;
* all others, of clients that are not known or whose last requests took long, and those of very many records: one
  client's at a time, with no others' beside it.

What is stored alone takes no place from others. Other work that takes longer than a second gives up its place: others
begin beside it, up to a bound. Does not defend against
very many clients that each send one costly request: they are told apart by their connections alone.
"""

import asyncio
import heapq
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum
from typing import Final

SLOW_SECONDS: Final = 1.0
"""Work that takes longer gives up its place: four times what the largest usual batch takes."""
BESIDE_SLOW: Final = 2
"""So many more may work beside slow ones."""
_COSTLY_SECONDS: Final = 0.1
_COSTLY_SECONDS_A_BYTE: Final = 0.12e-6
"""Of redaction, in CPU time: fifty times what a usual request costs. Prose and listings that are searched take 0.1."""
_REMEMBERED: Final = 4096


class Manner(Enum):
    """How a request is stored beside those of other clients."""

    TOGETHER = "together"
    FEW = "few"
    ALONE = "alone"


class Clients:
    """What the last requests of clients cost, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._are_costly: OrderedDict[bytes, bool] = OrderedDict()

    def manner(self, client: bytes, *, is_small: bool, is_many: bool) -> Manner:
        """Return how a request of a client is stored."""
        is_costly = self._are_costly.get(client)
        if is_costly or is_many:
            return Manner.ALONE
        if is_costly is None:
            return Manner.FEW if is_small else Manner.ALONE
        return Manner.TOGETHER

    def learn(self, clients: Collection[bytes], seconds: float, size: int) -> None:
        """Note that redacting requests of these clients, of `size` bytes together, took so much CPU time.

        Of several, one that is not known yet is likelier to be costly than those that never were.
        """
        is_costly = seconds > _COSTLY_SECONDS and seconds > size * _COSTLY_SECONDS_A_BYTE
        with self._lock:
            unknown = [client for client in clients if client not in self._are_costly]
            for client in unknown if is_costly and unknown else clients:
                self._are_costly[client] = is_costly
                self._are_costly.move_to_end(client)
            while len(self._are_costly) > _REMEMBERED:
                self._are_costly.popitem(last=False)


def may_begin(begun: Collection[float], most: int) -> bool:
    """Whether one more may work beside those that began at these times, of which `most` may before they are slow."""
    before = time.monotonic() - SLOW_SECONDS
    slow = sum(one < before for one in begun)
    return len(begun) - min(slow, BESIDE_SLOW) < most


class Turns:
    """Places for threads to work in: `most`, and some more beside those that are slow."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun: dict[object, float] = {}
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, *, is_alone: bool) -> Iterator[None]:
        """Wait for a place, and hold it. What is stored alone needs none: it is one batch at a time, beside others."""
        if is_alone:
            yield
            return
        mine = object()
        with self._changed:
            while not may_begin(self._begun.values(), self._most):
                self._changed.wait(SLOW_SECONDS / 4)
            self._begun[mine] = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                del self._begun[mine]
                self._changed.notify()


class BySize:
    """Places for coroutines whose work grows with a size: of those that wait, the smallest is next."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, size: int) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        if self._free:
            self._free -= 1
        else:
            mine = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (size, next(self._numbers), mine))
            try:
                await mine
            except asyncio.CancelledError:
                if mine.done() and not mine.cancelled():
                    self._pass_on()
                raise
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, waiting = heapq.heappop(self._waiting)
            if not waiting.done():
                waiting.set_result(None)
                return
        self._free += 1
