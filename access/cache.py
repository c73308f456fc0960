"""Answers that are kept for a while: bounded by time and by bytes, and made once for all who ask at the same time.

What is kept is never changed. An answer about a period that still goes on is kept no longer than the period's own
resolution: `lifetime` says how long that is.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from cachetools import TLRUCache

from access.refusal import Code, Refusal

QUERY_SECONDS: Final = 300.0
QUERY_BYTES: Final = 50 << 20
AGGREGATION_SECONDS: Final = 3600.0
AGGREGATION_BYTES: Final = 100 << 20
_BUCKETS: Final = 60
"""The points that a chart of the period has: an answer that is younger than one of them shows the same."""
_LEAST_SECONDS: Final = 1.0
_WAIT_SECONDS: Final = 120.0
_BROKEN_OFF: Final = "The same question was broken off for another caller. Ask again."

_size_of: Final = sys.getsizeof
_LEAVES: Final = frozenset({str, bytes, int, float, bool, type(None)})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A value, and how many seconds ago it was made; None when it was made for this question."""

    value: T
    age_seconds: float | None


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Any
    made: float
    seconds: float


class Cache:
    """A cache of any values, by keys that name all that they depend on. Zero seconds or bytes keep nothing."""

    def __init__(self, seconds: float, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[str, Future[Any]] = {}
        self._entries: TLRUCache[str, _Entry] = TLRUCache(
            max_bytes,
            ttu=lambda _, entry, now: now + entry.seconds,
            timer=clock,
            getsizeof=lambda entry: weight(entry.value),
        )

    def get(self, key: str) -> Kept[Any] | None:
        """Return what is kept under a key."""
        with self._lock:
            entry = self._entries.get(key)
            return None if entry is None else Kept(entry.value, self._clock() - entry.made)

    def put(self, key: str, value: Any, seconds: float | None = None) -> bool:
        """Keep a value; whether there was room for it."""
        lasts = self.seconds if seconds is None else min(seconds, self.seconds)
        if lasts <= 0:
            return False
        with self._lock:
            try:
                self._entries[key] = _Entry(value, self._clock(), lasts)
            except ValueError:  # it is larger than the whole cache
                return False
        return True

    def make(self, key: str, make: Callable[[], T], seconds: float | None = None) -> Kept[T]:
        """Return what is kept under a key, or make it: once, however many ask for it meanwhile.

        What `make` raises is raised to each of them, and not kept.
        """
        found = self.get(key)
        if found is not None:
            return found
        with self._lock:
            running = self._running.get(key)
            is_mine = running is None
            if running is None:
                running = self._running[key] = Future()
        if not is_mine:
            return Kept(_awaited(running), None)
        try:
            value = make()
        except Exception as error:
            running.set_exception(error)
            raise
        except BaseException:
            # What ends this thread is not meant for the others.
            running.set_exception(Refusal(Code.TIMEOUT, _BROKEN_OFF))
            raise
        else:
            self.put(key, value, seconds)
            running.set_result(value)
            return Kept(value, None)
        finally:
            with self._lock:
                del self._running[key]

    @property
    def bytes(self) -> int:
        """The bytes that are kept, as `weight` counts them."""
        with self._lock:
            return int(self._entries.currsize)


def _awaited(running: Future[T]) -> T:
    try:
        return running.result(_WAIT_SECONDS)
    except TimeoutError:
        raise Refusal(
            Code.TIMEOUT, f"The same question runs already, for more than {_WAIT_SECONDS:g} seconds."
        ) from None


def lifetime(length: timedelta, *, goes_on: bool, seconds: float) -> float:
    """Return how long an answer about a period of this length may be kept, at most `seconds`."""
    if not goes_on:
        return seconds
    return min(seconds, max(_LEAST_SECONDS, length.total_seconds() / _BUCKETS))


def weight(value: Any) -> int:
    """Return about how many bytes a value takes, with all that it holds."""
    own = _size_of(value)
    kind = type(value)
    if kind in _LEAVES or isinstance(value, str | bytes):
        return own
    if kind is tuple or kind is list:
        # Points are pairs of numbers, thousands in an answer: most of them end here, without another call.
        return own + sum([_size_of(item) if type(item) in _LEAVES else weight(item) for item in value])
    if isinstance(value, Mapping):
        return own + sum(weight(key) + weight(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return own + sum(map(weight, value))
    if is_dataclass(value) and not isinstance(value, type):
        return own + sum(weight(getattr(value, one.name)) for one in fields(value))
    return own
