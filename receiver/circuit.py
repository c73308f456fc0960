"""Whether trying is worth it: after a failure not at once, then ever more seldom, and without end.

The wait doubles from half a second to ten, each time a random half of it less, so that many receivers do not come
back at the same moment.
"""

import random
import threading
import time
from collections.abc import Callable

_FIRST_SECONDS = 0.5
_MOST_SECONDS = 10.0


class Circuit:
    """Closed while all is well, open after a failure; threads may share it."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._until = 0.0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether the last try failed."""
        return self._failures > 0

    @property
    def wait_seconds(self) -> float:
        """How long until the next try."""
        return max(0.0, self._until - self._clock()) if self._failures else 0.0

    def fail(self) -> None:
        """Open it, or keep it open for longer."""
        with self._lock:
            self._failures += 1
            wait = min(_MOST_SECONDS, _FIRST_SECONDS * 2 ** min(self._failures - 1, 10))
            self._until = self._clock() + wait * (1 - self._chance() / 2)

    def succeed(self) -> None:
        """Close it."""
        with self._lock:
            self._failures = 0
