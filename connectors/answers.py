"""Answers of other systems that are kept for a while, and equal questions that are asked once for all who wait.

An answer about a period that still goes on is kept as long as one of sixty parts of the period, and is then the answer
to the same question a little later: `key` says which questions are equal. A question that is no longer waited for is
cancelled, so that the system can stop its work. What is raised is raised to each who waits, and is not kept.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from access.cache import Cache, lifetime
from access.cursor import fingerprint
from connectors.connected import Question
from connectors.contract import Window

T = TypeVar("T")

_QUOTES: Final = re.compile("[\"'`]")

_DISCOVERY_SECONDS: Final = 60.0
"""How long names are kept: their questions have no period."""
_LATE: Final = timedelta(minutes=5)
_LATE_SECONDS: Final = 30.0
"""How long the answer is kept about a period that ended just now: records may still arrive."""


@dataclass(frozen=True, slots=True)
class Answered(Generic[T]):
    """An answer, and how many seconds ago it was given; None when it was given to this question."""

    value: T
    age_seconds: float | None


@dataclass(slots=True)
class Counts:
    """How many questions were answered, and how many of these from what is kept or together with another."""

    asked: int = 0
    hits: int = 0
    merged: int = 0

    @property
    def hit_rate(self) -> float | None:
        """The share of questions for which the system was not asked, None before the first."""
        return (self.hits + self.merged) / self.asked if self.asked else None


@dataclass(slots=True)
class _Running:
    task: "asyncio.Task[Any]"
    waiting: int = 0


class Answers:
    """What is kept, by keys. Of one event loop."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._running: dict[str, _Running] = {}
        self._hits: dict[str, int] = {}
        self.counts = Counts()

    @property
    def bytes(self) -> int:
        """The bytes that are kept."""
        return self._cache.bytes

    def hit_count(self, key: str) -> int:
        """Return how often what is kept under a key was the answer."""
        return self._hits.get(key, 0) if self._cache.get(key) is not None else 0

    def kept(self, key: str) -> Answered[Any] | None:
        """Return what is kept under a key, and count it."""
        found = self._cache.get(key)
        if found is None:
            return None
        self.counts.asked += 1
        self.counts.hits += 1
        self._hits[key] = self._hits.get(key, 0) + 1
        return Answered(found.value, found.age_seconds)

    def is_running(self, key: str) -> bool:
        """Whether an equal question is being asked now."""
        return key in self._running

    async def made(self, key: str, make: Callable[[], Awaitable[T]], seconds: float) -> Answered[T]:
        """Return what `make` yields, asked once for all who wait for this key, and keep it for so many seconds."""
        running = self._running.get(key)
        self.counts.asked += 1
        self.counts.merged += running is not None
        if running is None:
            running = self._running[key] = _Running(asyncio.create_task(self._make(key, make, seconds)))
            # Its failure is each waiting caller's; when they have all left, it is heard by no other.
            running.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        running.waiting += 1
        try:
            # Shielded: one who leaves does not end the question of the others.
            return Answered(await asyncio.shield(running.task), None)
        finally:
            running.waiting -= 1
            if not running.waiting and not running.task.done():
                running.task.cancel()
                self._forget(key, running)

    async def close(self) -> None:
        """Cancel the questions under way, and wait for their end."""
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _make(self, key: str, make: Callable[[], Awaitable[T]], seconds: float) -> T:
        running = self._running.get(key)
        try:
            value = await make()
            if len(self._hits) > _COUNTED:
                self._hits.clear()
            self._hits.pop(key, None)
            # In a thread: a large answer is weighed item by item.
            await asyncio.to_thread(self._cache.put, key, value, seconds)
            return value
        finally:
            if running is not None:
                self._forget(key, running)

    def _forget(self, key: str, running: _Running) -> None:
        if self._running.get(key) is running:
            del self._running[key]


_COUNTED: Final = 100_000


def key(version: str, question: Question, now: datetime) -> str:
    """Return the key of a question to a connection in one version; equal questions have equal keys.

    Of a period that goes on, its length and its distance from the present count, in steps of the time that its answer
    is kept; of another one, its ends. White space around and between the words of a query counts as one, unless
    the query holds quotation marks.
    """
    step = seconds(question, now) if question.goes_on else None
    return fingerprint(
        version,
        question.kind,
        type(question.request).__name__,
        _normal(question.text),
        _plain(question.request, now, step),
    )


def seconds(question: Question, now: datetime, most: float = 86_400.0) -> float:
    """Return how long the answer to a question may be kept, at most `most` seconds."""
    if question.seconds <= 0:
        return min(most, _DISCOVERY_SECONDS)
    if not question.goes_on:
        window = getattr(question.request, "window", None)
        is_late = isinstance(window, Window) and now - window.end < _LATE
        return min(most, _LATE_SECONDS) if is_late else most
    return lifetime(timedelta(seconds=question.seconds), goes_on=True, seconds=most)


def _plain(value: Any, now: datetime, step: float | None) -> Any:
    """Return a request as plain values."""
    if isinstance(value, Window) and step is not None:
        ahead = (value.end - now).total_seconds() / max(step, 1.0)
        return ["window", round(value.seconds), round(ahead)]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name), now, step) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(item, now, step) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, now, step) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(str(_plain(item, now, step)) for item in value)
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str):
        return _normal(value)
    return value if isinstance(value, int | float | bool | None) else repr(value)


def _normal(text: str) -> str:
    # A half of a pair of surrogates is no text in JSON.
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain if _QUOTES.search(plain) else " ".join(plain.split())
