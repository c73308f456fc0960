"""The gRPC calls whose messages have not arrived yet: whose is read next, and which have had their time.

gRPC's core takes in a message as fast as its client sends it, once it is asked for, and says nothing until it is whole.
So only as many are asked for at a time as there is room for, were each of them the largest that is allowed. The others
wait; the client that has kept others waiting the least, with the fewest under way, is next. A message that has been
arriving for a while gives way to them, the sooner the more wait. A call that has no message within its time is to be
refused.

Belongs to the thread that waits for gRPC's events. Knows nothing of gRPC: a call is any object.
"""

import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from receiver.arriving import PATIENCE_SECONDS

CROWDED_PATIENCE_SECONDS: Final = 0.25
"""How long a message may take before it gives way, where more calls wait than are read."""
_QUICK_SECONDS: Final = 0.05
_REMEMBERED: Final = 4096
"""How many clients are remembered whose messages took longer than most do."""
MAX_WAITING: Final = 4096
"""Calls whose messages are not asked for yet. Each holds what its client may send unasked, 16 KiB."""


@dataclass(slots=True, eq=False)
class Awaited:
    """A call whose message is awaited, and the client that it comes from."""

    path: str
    answer: Any
    call: Any
    client: bytes
    begun: float = field(default_factory=time.monotonic)
    asked: float = 0.0
    """When its message was asked for."""


class IncomingCalls:
    """The calls that wait and those that are read, of which there are `most`; each has `timeout_seconds`."""

    def __init__(self, most: int, timeout_seconds: float) -> None:
        self._most = most
        self._timeout_seconds = timeout_seconds
        # By client, the one that was served last at the end.
        self._waiting: dict[bytes, deque[Awaited]] = {}
        self._waiting_calls = 0
        self._reading: dict[Awaited, None] = {}
        self._clients: Counter[bytes] = Counter()
        # The seconds that the messages of clients took which were not quick, the last ones last.
        self._kept: dict[bytes, float] = {}
        # Those that were answered before their message came; the core still holds what did.
        self._answered: set[Awaited] = set()

    def __bool__(self) -> bool:
        return bool(self._reading or self._waiting)

    def add(self, awaited: Awaited) -> bool:
        """Let a call wait; return False when too many wait already."""
        if self._waiting_calls >= MAX_WAITING:
            return False
        self._waiting.setdefault(awaited.client, deque()).append(awaited)
        self._waiting_calls += 1
        return True

    def ready(self) -> Iterator[Awaited]:
        """Yield the calls whose messages are to be asked for now."""
        while self._waiting and len(self._reading) < self._most:
            awaited = self._next()
            awaited.asked = time.monotonic()
            self._reading[awaited] = None
            self._clients[awaited.client] += 1
            yield awaited

    def arrived(self, awaited: Awaited) -> bool:
        """Make room behind a call whose message came, or never will; return False when it is answered already."""
        if awaited in self._answered:
            self._answered.discard(awaited)
            return False
        self._forget(awaited)
        return True

    def overdue(self) -> list[Awaited]:
        """Return the calls that have had their time; they are to be answered."""
        before = time.monotonic() - self._timeout_seconds
        late = [one for one in self._reading if one.begun < before]
        for client in list(self._waiting):
            while client in self._waiting and self._waiting[client][0].begun < before:
                late.append(self._taken(client))
        self._answer(late)
        return late

    def waiting(self) -> list[Awaited]:
        """Return the calls whose messages were not asked for; they are to be answered."""
        return [
            self._taken(client) for client in list(self._waiting) for _ in range(len(self._waiting[client]))
        ]

    def giving_way(self) -> list[Awaited]:
        """Return calls whose messages have been arriving for a while, as many as wait; they are to be answered."""
        is_crowded = self._waiting_calls > self._most
        before = time.monotonic() - (CROWDED_PATIENCE_SECONDS if is_crowded else PATIENCE_SECONDS)
        slow = [one for one in self._reading if one.asked < before][: self._waiting_calls]
        self._answer(slow)
        return slow

    def _answer(self, calls: list[Awaited]) -> None:
        for one in calls:
            if one in self._reading:
                self._forget(one)
                self._answered.add(one)

    def _forget(self, awaited: Awaited) -> None:
        del self._reading[awaited]
        self._clients[awaited.client] -= 1
        if not self._clients[awaited.client]:
            del self._clients[awaited.client]
        seconds = time.monotonic() - awaited.asked
        if seconds > _QUICK_SECONDS:
            self._kept[awaited.client] = self._kept.pop(awaited.client, 0.0) + seconds
            if len(self._kept) > _REMEMBERED:
                del self._kept[next(iter(self._kept))]

    def _next(self) -> Awaited:
        """Take a call of the client that has kept others waiting the least, has the fewest read, and waits longest."""
        if len(self._waiting) == 1:
            return self._taken(next(iter(self._waiting)))
        kept, read = self._kept, self._clients
        for client in self._waiting:
            if client not in kept and client not in read:
                return self._taken(client)  # the first of those that come before all others
        return self._taken(min(self._waiting, key=self._order))

    def _order(self, client: bytes) -> tuple[float, int]:
        return self._kept.get(client, 0.0), self._clients[client]

    def _taken(self, client: bytes) -> Awaited:
        """Take the client's oldest call from those that wait."""
        calls = self._waiting.pop(client)
        awaited = calls.popleft()
        self._waiting_calls -= 1
        if calls:
            self._waiting[client] = calls
        return awaited
