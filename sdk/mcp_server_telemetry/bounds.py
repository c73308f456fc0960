"""How the number of series is bounded: each attribute takes so many values, and all others count as `_other`.

Clients choose names of tools, methods and models; a counter with a label that clients choose grows without end. A
value is admitted when it is known, as a tool that the server lists, or while there is room. What is replaced is
counted.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Final

OTHER: Final = "_other"
METHODS: Final = frozenset(
    {
        "initialize", "ping", "server/discover", "tools/list", "tools/call", "prompts/list", "prompts/get",
        "resources/list", "resources/read", "resources/templates/list", "resources/subscribe",
        "resources/unsubscribe", "subscriptions/listen", "completion/complete", "logging/setLevel",
        "notifications/initialized", "notifications/cancelled", "notifications/progress",
        "notifications/roots/list_changed", "tasks/get", "tasks/list", "tasks/result", "tasks/cancel",
    }
)  # fmt: skip
"""Those of the specification, of both eras."""
_LONGEST: Final = 128


class Values:
    """The values of one attribute that are counted under their own name."""

    def __init__(
        self, attribute: str, at_most: int, replaced: Callable[[str], None], known: Iterable[str] = ()
    ) -> None:
        self._attribute = attribute
        self._at_most = at_most
        self._replaced = replaced
        self._lock = threading.Lock()
        self._known: set[str] = set()
        for value in known:
            self.admit(value)

    def admit(self, value: str) -> bool:
        """Let a value be counted under its own name from now on, while there is room; whether it is."""
        if value in self._known:
            return True
        with self._lock:
            if len(self._known) >= self._at_most or not value or len(value) > _LONGEST:
                return False
            self._known.add(value)
        return True

    def has(self, value: str) -> bool:
        """Whether a value is admitted."""
        return value in self._known

    def of(self, value: str) -> str:
        """Return the value when it is admitted, else OTHER."""
        if value in self._known:
            return value
        self._replaced(self._attribute)
        return OTHER
