"""The requests of one signal that wait to be stored, and when the next batch of them is due.

A batch is what `take` returns: requests of one signal that are transformed and stored together. Which ones these are,
`turns` says: clients are served in turn.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from otlp.signals import Survey
from otlp.status import Failure
from receiver.request_repair import Repaired
from receiver.turns import SLOW_SECONDS, Clients, Manner

# While the store is away no row can be read, and each batch costs files, syncs and later an insert.
_AWAY_SECONDS = 1.0
# A request is small, or one of many records, whose storing takes a while whatever they say.
_SMALL_BYTES = 32 << 10
_MANY_RECORDS = 10_000
_MANY_BYTES = 8 << 20
# Of requests of clients that are not known, in a batch with others; and of one that is stored alone.
_FEW_BYTES = 64 << 10
_ALONE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """When a batch is due, and how many bytes may wait in the queues of all signals."""

    batch_bytes: int
    batch_records: int
    batch_age_seconds: float
    queue_bytes: int


Outcome: TypeAlias = Failure | Repaired | None
"""How a request ended: not stored; stored, but for the records that its repair left out; or stored."""


@dataclass(slots=True)
class Waiting:
    """A request that waits to be stored."""

    body: bytes
    survey: Survey
    arrived: float
    name: bytes = b""
    client: bytes = b""
    is_alone: bool = False
    """Whether it is stored with no other client's requests, beside other batches."""
    ends: list[Callable[[Outcome], None]] = field(default_factory=list)
    """Called with the outcome; several when the same bytes are sent again meanwhile."""


Batch: TypeAlias = Sequence[Waiting]
"""Requests of one signal that were taken together and are stored together, the oldest first."""


class SignalQueue:
    """A queue whose next batch is due by bytes, by records, by the age of its oldest request, or on closing."""

    def __init__(self, limits: QueueLimits, is_store_away: Callable[[], bool] = lambda: False) -> None:
        self._limits = limits
        self._is_store_away = is_store_away
        # By client, the one that was served last at the end.
        self._waiting: dict[bytes, deque[Waiting]] = {}
        self._were_together = False
        self._bytes = 0
        self._records = 0
        self._closed = False
        self._hurried = False
        self._changed = asyncio.Event()

    def add(self, waiting: Waiting) -> None:
        """Let a request wait."""
        is_first = not self._waiting
        self._waiting.setdefault(waiting.client, deque()).append(waiting)
        self._bytes += len(waiting.body)
        self._records += waiting.survey.records
        if is_first or self._full:
            self._changed.set()

    def hurry(self) -> None:
        """From now on, let a batch be due as soon as there is a request."""
        self._hurried = True
        self._changed.set()

    def close(self) -> None:
        """Take no more requests; those that wait are due."""
        self._closed = True
        self._changed.set()

    async def due(self) -> bool:
        """Wait until a batch is due; return False when the queue is closed and empty."""
        while not (self._full or (self._closed and self._waiting)):
            if self._closed:
                return False
            self._changed.clear()
            try:
                async with asyncio.timeout(self._patience):
                    await self._changed.wait()
            except TimeoutError:
                return True
        return True

    async def full_or(self, under_way: asyncio.Task[None]) -> None:
        """Wait until the next batch is full, or a flush under way has ended or is slow."""
        patience = asyncio.get_running_loop().time() + SLOW_SECONDS
        while not (self._full or under_way.done()):
            left = patience - asyncio.get_running_loop().time()
            if left <= 0:
                return
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait([changed, under_way], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    def take(self, clients: Clients, *, is_one_alone: bool = False) -> Batch:
        """Take a batch: the oldest requests up to the limits, of clients in turn.

        There is none when none may be stored. `is_one_alone` says that a batch is under way that is stored alone.
        """
        alone = [one for one in self._waiting if self._manner(one, clients) is Manner.ALONE]
        apart = set(alone)
        together = [one for one in self._waiting if one not in apart]
        if alone and not is_one_alone and (not together or self._were_together):
            self._were_together = False
            batch = self._batch(alone[:1], _ALONE_BYTES, clients)
            for waiting in batch:
                waiting.is_alone = True
            return batch
        self._were_together = True
        return self._batch(together, self._limits.batch_bytes, clients)

    def _manner(self, client: bytes, clients: Clients) -> Manner:
        """Return how a client's oldest request is to be stored."""
        waiting = self._waiting[client][0]
        is_many = waiting.survey.records > _MANY_RECORDS or len(waiting.body) > _MANY_BYTES
        return clients.manner(client, is_small=len(waiting.body) <= _SMALL_BYTES, is_many=is_many)

    def _batch(self, chosen: Sequence[bytes], most_bytes: int, clients: Clients) -> Batch:
        """Take requests of these clients, one of each in turn, as long as they are to be stored like the first."""
        batch: list[Waiting] = []
        size = records = few = 0
        turn = deque((client, self._manner(client, clients)) for client in chosen)
        most_bytes = min(most_bytes, self._limits.batch_bytes)
        while turn:
            client, manner = turn.popleft()
            waiting = self._waiting[client]
            first = waiting[0]
            if manner is Manner.FEW:
                few += len(first.body)
                if batch and few > _FEW_BYTES:
                    continue
            if batch and (
                size + len(first.body) > most_bytes
                or records + first.survey.records > self._limits.batch_records
            ):
                break
            size += len(first.body)
            records += first.survey.records
            batch.append(waiting.popleft())
            # Who was served comes last the next time.
            del self._waiting[client]
            if waiting:
                self._waiting[client] = waiting
                following = self._manner(client, clients)
                if (following is Manner.ALONE) is (manner is Manner.ALONE):
                    turn.append((client, following))
        self._bytes -= size
        self._records -= records
        return batch

    @property
    def _full(self) -> bool:
        return self._bytes >= self._limits.batch_bytes or self._records >= self._limits.batch_records

    @property
    def _patience(self) -> float | None:
        if not self._waiting:
            return None
        oldest = min(waiting[0].arrived for waiting in self._waiting.values())
        return max(0.0, oldest + self._age_seconds - time.monotonic())

    @property
    def _age_seconds(self) -> float:
        if self._hurried:
            return 0.0
        age = self._limits.batch_age_seconds
        return max(age, _AWAY_SECONDS) if self._is_store_away() else age
