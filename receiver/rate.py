"""How many bytes a second a sender may send: a token bucket that may run into debt.

A request is let through while there is any credit, whatever its size, and pays for itself once its size is known. So no
request is too large for the rate; after a large one the sender waits until the debt is paid.
"""

import math
import threading
import time
from collections.abc import Callable

BURST_SECONDS = 10
"""A sender that was quiet may send this many seconds' worth at once."""


class Rate:
    """One sender's credit, in bytes. Starts full; safe to call from several threads."""

    def __init__(self, bytes_per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._credit = float(bytes_per_second * BURST_SECONDS)
        self._counted_at = clock()
        self._lock = threading.Lock()

    def wait_seconds(self) -> int:
        """Return the whole seconds until there is credit, 0 when there is some now."""
        with self._lock:
            return self._wait_seconds()

    def pay(self, size: int) -> int:
        """Pay for so many bytes and return 0; without credit pay nothing, and return the seconds to wait."""
        with self._lock:
            wait = self._wait_seconds()
            if not wait:
                self._credit -= size
            return wait

    def _wait_seconds(self) -> int:
        now = self._clock()
        earned = (now - self._counted_at) * self._bytes_per_second
        self._credit = min(self._credit + earned, float(self._bytes_per_second * BURST_SECONDS))
        self._counted_at = now
        if self._credit > 0:
            return 0
        return max(1, math.ceil(-self._credit / self._bytes_per_second))
