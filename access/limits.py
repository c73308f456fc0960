"""How often each caller may ask: a bucket of tokens for each, filled at a steady rate.

A caller who waits saves up a few questions, and may then ask these in a row. One who has none left is told how long to
wait.
The number of callers that are remembered is bounded.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cachetools import LRUCache

from access.refusal import Code, Refusal

PER_MINUTE: Final = 10.0
AT_ONCE: Final = 10
_CALLERS: Final = 10_000
_MINUTE: Final = 60.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    seen: float


class Limiter:
    """The buckets of all callers. `clock` counts seconds and never goes back."""

    def __init__(
        self,
        per_minute: float = PER_MINUTE,
        at_once: int = AT_ONCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = per_minute / _MINUTE
        self._most = float(at_once)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: LRUCache[str, _Bucket] = LRUCache(_CALLERS)

    def take(self, caller: str, cost: float = 1.0) -> None:
        """Take a caller's token, or raise a Refusal that says when there will be one."""
        with self._lock:
            now = self._clock()
            bucket = self._buckets.get(caller)
            if bucket is None:
                bucket = self._buckets[caller] = _Bucket(self._most, now)
            bucket.tokens = min(self._most, bucket.tokens + (now - bucket.seen) * self._rate)
            bucket.seen = now
            missing = min(cost, self._most) - bucket.tokens
            if missing <= 0:
                bucket.tokens -= min(cost, self._most)
                return
        raise Refusal(
            Code.RATE_LIMITED,
            f"{self._rate * _MINUTE:g} questions a minute are answered (TELEMETRY_QUERIES_PER_MINUTE), and"
            f" {self._most:g} in a row (TELEMETRY_QUERIES_AT_ONCE).",
            retry_after_seconds=max(0.1, round(missing / self._rate + 0.05, 1)),
            suggestions=("Ask for more in one question: an aggregation, or a longer period.",),
        )
