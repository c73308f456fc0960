"""The requests of one signal that wait to be stored, and when the next batch of them is due.

A batch is what `take` returns: requests of one signal that are transformed and stored together.
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

# While the store is away no row can be read, and each batch costs files, syncs and later an insert.
_AWAY_SECONDS = 1.0


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
    """A request that waits to be stored; its future resolves to the outcome."""

    body: bytes
    survey: Survey
    arrived: float
    name: bytes = b""
    outcome: asyncio.Future[Outcome] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


Batch: TypeAlias = Sequence[Waiting]
"""Requests of one signal that were taken together and are stored together, the oldest first."""


class SignalQueue:
    """A queue whose next batch is due by bytes, by records, by the age of its oldest request, or on closing."""

    def __init__(self, limits: QueueLimits, is_store_away: Callable[[], bool] = lambda: False) -> None:
        self._limits = limits
        self._is_store_away = is_store_away
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._records = 0
        self._closed = False
        self._hurried = False
        self._changed = asyncio.Event()

    def add(self, waiting: Waiting) -> None:
        """Let a request wait."""
        self._waiting.append(waiting)
        self._bytes += len(waiting.body)
        self._records += waiting.survey.records
        if len(self._waiting) == 1 or self._full:
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
        """Wait until the next batch is full, or a flush under way has ended."""
        while not (self._full or under_way.done()):
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait([changed, under_way], return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    def take(self) -> Batch:
        """Take a batch: the oldest requests up to the limits, at least one."""
        batch: list[Waiting] = []
        size = records = 0
        while self._waiting:
            head = self._waiting[0]
            size += len(head.body)
            records += head.survey.records
            if batch and (size > self._limits.batch_bytes or records > self._limits.batch_records):
                break
            batch.append(self._waiting.popleft())
        self._bytes -= sum(len(waiting.body) for waiting in batch)
        self._records -= sum(waiting.survey.records for waiting in batch)
        return batch

    @property
    def _full(self) -> bool:
        return self._bytes >= self._limits.batch_bytes or self._records >= self._limits.batch_records

    @property
    def _patience(self) -> float | None:
        if not self._waiting:
            return None
        return max(0.0, self._waiting[0].arrived + self._age_seconds - time.monotonic())

    @property
    def _age_seconds(self) -> float:
        if self._hurried:
            return 0.0
        age = self._limits.batch_age_seconds
        return max(age, _AWAY_SECONDS) if self._is_store_away() else age
