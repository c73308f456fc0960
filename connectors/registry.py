"""The kinds of system that can be connected: those of this project, and those that other distributions add.

Adapters are imported when the kinds are first asked for. One that another distribution adds and that cannot be loaded
is reported in `problems` and left out, and the others work.
"""

import threading
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final

import structlog

from access.refusal import unknown
from connectors.backend import ENTRY_POINTS, Backend

log = structlog.get_logger()

BUILT_IN: Final = (
    "connectors.adapters.prometheus",
    "connectors.adapters.loki",
    "connectors.adapters.elasticsearch",
    "connectors.adapters.jaeger",
    "connectors.adapters.tempo",
    "connectors.adapters.cloudwatch",
    "connectors.adapters.datadog",
    "connectors.adapters.clickhouse",
)
"""The modules with this project's adapters; each has its kinds in BACKENDS."""


class Registry:
    """The kinds by backend_type. `more` are further ones, before those of entry points."""

    def __init__(self, more: Iterable[Backend] = (), modules: Iterable[str] = BUILT_IN) -> None:
        self._more = tuple(more)
        self._modules = tuple(modules)
        self._lock = threading.Lock()
        self._found: dict[str, Backend] | None = None
        self.problems: list[str] = []
        """What could not be loaded: the name of the module or entry point, and the kind of error."""

    def backends(self) -> Mapping[str, Backend]:
        """Return all kinds."""
        with self._lock:
            if self._found is None:
                self._found = self._loaded()
            return self._found

    def backend(self, backend_type: str) -> Backend:
        """Return one kind. Raises Refusal, with the nearest names, for another one."""
        known = self.backends()
        if backend_type not in known:
            raise unknown("kind of system", backend_type, known, "backend_type")
        return known[backend_type]

    def _loaded(self) -> dict[str, Backend]:
        found = {backend.backend_type: backend for backend in self._more}
        for module in self._modules:
            try:
                for backend in import_module(module).BACKENDS:
                    found.setdefault(backend.backend_type, backend)
            except ImportError as error:
                self._report(module, error)
        for point in entry_points(group=ENTRY_POINTS):
            try:
                loaded: Any = point.load()
                added = [loaded] if isinstance(loaded, Backend) else list(loaded)
                wrong = [one for one in added if not isinstance(one, Backend)]
                if wrong:
                    raise TypeError("not a Backend")  # noqa: TRY301  reported as what loading raises is
            except Exception as error:  # noqa: BLE001  the code of another distribution
                self._report(point.name, error)
                continue
            for backend in added:
                if backend.backend_type in found:
                    self._report(point.name, KeyError("the backend_type is taken"))
                else:
                    found[backend.backend_type] = backend
        return found

    def _report(self, name: str, error: Exception) -> None:
        self.problems.append(f"{name}: {type(error).__name__}")
        log.warning("A kind of system cannot be loaded.", name=name, error=type(error).__name__)
