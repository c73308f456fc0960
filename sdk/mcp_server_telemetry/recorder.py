"""The instruments of one meter, and the few functions by which the rest of this package measures.

A measurement that fails is counted, said once in the log, and otherwise passed over: an instrumented server answers as
it would without this package.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import Tracer

from mcp_server_telemetry import definitions
from mcp_server_telemetry.bounds import METHODS, OTHER, Values
from mcp_server_telemetry.definitions import Category, Definition, Kind
from mcp_server_telemetry.options import MODELS, Options

log = logging.getLogger("mcp_server_telemetry")

Attributes = Mapping[str, str]
Combination = tuple[tuple[str, str], ...]
Recording = Callable[[float], None]

_DAY: Final = 86_400.0
_USERS: Final = 100_000


class Sink(Protocol):
    """What is told of sessions, measurements and uses besides OpenTelemetry, such as a store without a server."""

    def measurement(self, name: str, value: float, attributes: Attributes) -> None:
        """Take one measurement."""
        ...

    def session(self, row: Mapping[str, Any]) -> None:
        """Take one session that ended."""
        ...

    def use(self, feature: str, user: str | None) -> None:
        """Take one use of a feature."""
        ...


class Recorder:
    """What is measured, of one server."""

    def __init__(self, meter: Meter, tracer: Tracer, options: Options, sinks: Sequence[Sink] = ()) -> None:
        self.options = options
        self.tracer = tracer
        self._sinks = tuple(sinks)
        self._lock = threading.Lock()
        self._users: dict[str, float] = {}
        self._has_complained = False
        self._sets: dict[str, set[Combination]] = {
            definition.name: set() for definition in definitions.DEFINITIONS
        }
        self._counts: dict[str, dict[Combination, float]] = {}
        self._made = {
            definition.name: self._instrument(meter, definition)
            for definition in definitions.DEFINITIONS
            if definition.category in {*options.categories, Category.SELF}
        }
        self.methods = Values(definitions.METHOD, len(METHODS), self._replaced, METHODS)
        self.tools = Values(definitions.TOOL, options.tools, self._replaced)
        self.prompts = Values(definitions.PROMPT, options.tools, self._replaced)
        self.resources = Values(definitions.FEATURE, options.tools, self._replaced)
        self.errors = Values(definitions.ERROR, options.errors, self._replaced)
        self.models = Values(definitions.MODEL, len(options.models) or MODELS, self._replaced, options.models)
        self.statuses = Values(definitions.STATUS, 10, self._replaced)
        self.versions = Values(definitions.PROTOCOL, 10, self._replaced)

    def record(self, definition: Definition, value: float, attributes: Attributes) -> None:
        """Record one value; of a counter, add it. An instrument of a category that is left out takes nothing."""
        made = self._made.get(definition.name)
        if made is not None:
            bounded = self._bounded(definition, attributes)
            made(value, bounded)
            for sink in self._sinks:
                with self.guarded():
                    sink.measurement(definition.name, value, bounded)

    def recording(self, definition: Definition, attributes: Attributes) -> Recording:
        """Return `record` for values with the same attributes, whose instrument and place are looked up once."""
        made = self._made.get(definition.name)
        if made is None:
            return no_recording
        combination = tuple(attributes.items())
        if self._sinks or not self._has_room(definition, combination):
            return lambda value: self.record(definition, value, attributes)
        if definition.kind is Kind.HISTOGRAM:
            return lambda value: made(value, attributes)
        return partial(self._add, self._counts[definition.name], combination)

    def session_ended(self, row: Mapping[str, Any]) -> None:
        """Hand a session to the sinks."""
        for sink in self._sinks:
            with self.guarded():
                sink.session(row)

    def used(self, feature: str, user: str | None) -> None:
        """Count a use of a feature for the sinks, and its user, whose name is hashed already."""
        if user is not None:
            with self._lock:
                if user in self._users or len(self._users) < _USERS:
                    self._users[user] = time.monotonic()
        for sink in self._sinks:
            with self.guarded():
                sink.use(feature, user)

    def model(self, name: str) -> str:
        """Return a model's name as sessions are counted under."""
        if not self.options.models:
            self.models.admit(name)
        return self.models.of(name)

    def version(self, date: str) -> str:
        """Return a protocol's version as it is counted under."""
        self.versions.admit(date)
        return self.versions.of(date)

    def error(self, name: str) -> str:
        """Return an error's type as it is counted under."""
        self.errors.admit(name)
        return self.errors.of(name)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep a measurement that fails from the server, count it, and say so once."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  the server's own answer must not depend on it
            self.failed(error)

    def failed(self, error: Exception) -> None:
        """Count a measurement that failed."""
        count = self._made.get(definitions.FAILURES.name)
        if count is not None:
            count(1, {})
        if not self._has_complained:
            self._has_complained = True
            log.warning(
                "A measurement failed (%s). The server is not affected; this is said once.",
                type(error).__name__,
            )

    def _bounded(self, definition: Definition, attributes: Attributes) -> Attributes:
        """Return the attributes while there is room for this combination, else each as OTHER."""
        if self._has_room(definition, tuple(attributes.items())):
            return attributes
        self._replaced(definition.name)
        return dict.fromkeys(definition.attributes, OTHER)

    def _has_room(self, definition: Definition, combination: Combination) -> bool:
        """Whether a combination of attributes is counted under its own values: each new one is, while there is room."""
        sets = self._sets[definition.name]
        if combination in sets:
            return True
        with self._lock:
            if len(sets) < definition.sets:
                sets.add(combination)
                return True
        return False

    def _replaced(self, attribute: str) -> None:
        self._made[definitions.REPLACED.name](1, {definitions.ATTRIBUTE: attribute})

    def _instrument(self, meter: Meter, definition: Definition) -> Callable[[float, Attributes], None]:
        name, unit, description = definition.name, definition.unit, definition.description
        # Without attributes there is one series, which is 0 until something is counted: that is no absence.
        self._counts[name] = {} if definition.attributes else {(): 0}
        match definition.kind:
            case Kind.COUNTER:
                meter.create_observable_counter(name, [self._observed(name)], unit, description)
                return partial(self._count, self._counts[name])
            case Kind.UP_DOWN_COUNTER:
                meter.create_observable_up_down_counter(name, [self._observed(name)], unit, description)
                return partial(self._count, self._counts[name])
            case Kind.HISTOGRAM:
                return meter.create_histogram(
                    name, unit, description, explicit_bucket_boundaries_advisory=definition.buckets
                ).record
            case Kind.GAUGE:
                meter.create_observable_gauge(name, [self._count_users], unit, description)
                return _ignored

    def _count(self, counts: dict[Combination, float], value: float, attributes: Attributes) -> None:
        self._add(counts, tuple(attributes.items()), value)

    def _add(self, counts: dict[Combination, float], combination: Combination, value: float) -> None:
        """Add to a count of our own, which is read when the metrics are: a tenth of an instrument's cost a call."""
        with self._lock:
            counts[combination] = counts.get(combination, 0) + value

    def _observed(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        counts = self._counts[name]

        def observe(_: CallbackOptions) -> Iterable[Observation]:
            with self._lock:
                return [Observation(value, dict(combination)) for combination, value in counts.items()]

        return observe

    def _count_users(self, _: CallbackOptions) -> Iterable[Observation]:
        since = time.monotonic() - _DAY
        with self._lock:
            for user in [user for user, seen in self._users.items() if seen < since]:
                del self._users[user]
            return [Observation(len(self._users))]


def no_recording(value: float) -> None:
    """Take nothing: the category is left out, or there is nothing to count."""
    del value


def _ignored(value: float, attributes: Attributes) -> None:
    """Take nothing: the values of an observable instrument are asked for."""
    del value, attributes


__all__ = ["OTHER", "Attributes", "Recorder", "Recording", "Sink", "no_recording"]
