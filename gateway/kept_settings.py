"""What a reader changed by SET, kept by the name of its session: its engine sessions are read-only and shared."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from gateway.errors import QueryError

_MAX_KEPT: Final = 1000
_LONGEST_SECONDS: Final = 3600.0
_DEFAULT_SECONDS: Final = 60.0


class KeptSettings:
    """The settings of readers' sessions. `clock` returns seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, dict[str, str]]] = {}

    def of(self, url: Mapping[str, str]) -> dict[str, str]:
        """Return what was set in the session that a URL names, nothing without one."""
        expires, settings = self._kept.get(url.get("session_id", ""), (0.0, {}))
        return dict(settings) if expires > self._clock() else {}

    def keep(self, url: Mapping[str, str], changes: Mapping[str, str], defaults: frozenset[str]) -> None:
        """Keep changes for the session that a URL names. Raises QueryError when too many are kept."""
        name = url.get("session_id")
        if not name:
            return
        settings = {key: value for key, value in {**self.of(url), **changes}.items() if key not in defaults}
        self._kept = {key: kept for key, kept in self._kept.items() if kept[0] > self._clock()}
        if len(self._kept) >= _MAX_KEPT and name not in self._kept:
            raise QueryError.of(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many open sessions.")
        asked = url.get("session_timeout", "")
        seconds = min(float(asked) if asked.isdecimal() else _DEFAULT_SECONDS, _LONGEST_SECONDS)
        self._kept[name] = self._clock() + seconds, settings
