"""The requests that wait to be stored, one queue a signal, and when a batch of them is due."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from receiver.signals import Survey
from receiver.status import Failure

# While the store is away nobody reads what comes, and each batch costs files, syncs and later an insert.
_AWAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is flushed, and how much may wait."""

    batch_bytes: int
    batch_records: int
    batch_age_seconds: float
    queue_bytes: int


@dataclass(slots=True)
class Waiting:
    """A request that waits to be stored; its future resolves to the failure, or None when committed."""

    body: bytes
    survey: Survey
    arrived: float
    name: bytes = b""
    outcome: asyncio.Future[Failure | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Batch:
    """One signal's queue. It is due by bytes, by records, by the age of its oldest request, or on closing."""

    def __init__(self, limits: Limits, is_store_away: Callable[[], bool] = lambda: False) -> None:
        self._limits = limits
        self._is_store_away = is_store_away
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._records = 0
        self._closed = False
        self._hastened = False
        self._changed = asyncio.Event()

    def add(self, waiting: Waiting) -> None:
        """Let a request wait."""
        self._waiting.append(waiting)
        self._bytes += len(waiting.body)
        self._records += waiting.survey.records
        if len(self._waiting) == 1 or self._full:
            self._changed.set()

    def hasten(self) -> None:
        """From now on be due as soon as there is a request."""
        self._hastened = True
        self._changed.set()

    def close(self) -> None:
        """Take no more; what waits is due."""
        self._closed = True
        self._changed.set()

    async def due(self) -> bool:
        """Wait until there is a batch to take; False when closed and empty."""
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
        """Wait until the batch is full, or a flush under way has ended."""
        while not (self._full or under_way.done()):
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait([changed, under_way], return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    def take(self) -> list[Waiting]:
        """Take the oldest requests up to the limits, at least one."""
        taken: list[Waiting] = []
        size = records = 0
        while self._waiting:
            head = self._waiting[0]
            size += len(head.body)
            records += head.survey.records
            if taken and (size > self._limits.batch_bytes or records > self._limits.batch_records):
                break
            taken.append(self._waiting.popleft())
        self._bytes -= sum(len(waiting.body) for waiting in taken)
        self._records -= sum(waiting.survey.records for waiting in taken)
        return taken

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
        if self._hastened:
            return 0.0
        age = self._limits.batch_age_seconds
        return max(age, _AWAY_SECONDS) if self._is_store_away() else age
