"""The connections of an installation, put together from its settings; the state is opened when it is first needed."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from access.cache import Cache
from access.limits import Limiter
from access.store import Store
from config.settings import Settings
from connectors import connections_file
from connectors.addresses import Policy
from connectors.asking import CACHE_BYTES, Asking
from connectors.contract import Adapter
from connectors.directory import Directory, KeptConnections, OwnStore
from connectors.redaction import Redaction, redaction
from connectors.registry import Registry
from connectors.remembered import Remembered

if TYPE_CHECKING:
    from connectors.state.opening import State


@dataclass(slots=True)
class LateState:
    """The state, which is opened by the first who needs it, and tried again by the next when that fails."""

    settings: Settings = field(repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _state: "State | None" = None

    def state(self) -> "State":
        """Return the state. Raises StateError."""
        # SQLAlchemy and Alembic: a third of a second and 40 MB, which a start without connections does without.
        from connectors.state.opening import open_state  # noqa: PLC0415

        with self._lock:
            if self._state is None:
                self._state = open_state(self.settings)
            return self._state

    def connections(self) -> KeptConnections:
        """Return the connections. Raises StateError."""
        return self.state().connections

    def history(self) -> Remembered:
        """Return the history. Raises StateError."""
        return self.state().history

    def close(self) -> None:
        """Close the state if it was opened."""
        with self._lock:
            if self._state is not None:
                self._state.database.close()
                self._state = None


def own_store(store: Store) -> OwnStore:
    """Return the installation's own store as a connection. The adapter is imported when it is first asked."""

    def opened() -> Adapter:
        from connectors.adapters.telemetry import TelemetryStore  # noqa: PLC0415  the grammar of PromQL

        return TelemetryStore(store)

    return OwnStore(opened)


def policy(settings: Settings) -> Policy:
    """Return which addresses connections may lead to."""
    return Policy(settings.connector_networks, frozenset(settings.connector_ports))


def directory(
    settings: Settings, late: LateState, own: OwnStore | None = None, registry: Registry | None = None
) -> Directory:
    """Return the connections. Raises ConnectionsFileError for a wrong TELEMETRY_CONNECTIONS_FILE."""
    kinds = registry or Registry()
    path = settings.connections_file
    file = connections_file.read(path, kinds) if path is not None else ()
    return Directory(kinds, late.connections, policy(settings), file, own)


def asking(
    settings: Settings,
    late: LateState,
    own: OwnStore | None = None,
    registry: Registry | None = None,
    rules: Redaction | None = None,
) -> Asking:
    """Return what tools and REST ask through. Raises ConnectionsFileError and RulesError."""
    per_minute, at_once = settings.connector_queries_per_minute, settings.connector_queries_at_once
    return Asking(
        directory(settings, late, own, registry),
        late.history,
        rules or redaction(settings),
        callers=Limiter(per_minute, at_once),
        connections=Limiter(per_minute, at_once),
        cache=Cache(settings.query_cache_seconds, CACHE_BYTES),
    )
