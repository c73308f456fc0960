"""What the contract's tests need to know of a system: how its adapter is opened, and questions with known answers.

A subject is a file in `tests/connectors/subjects/` with a tuple SUBJECTS. Where its answers come from, in this order:

* the real program, when the environment has its path: `TELEMETRY_TEST_<NAME>`; `started` runs and fills it
* recorded answers in `tests/data/backends/<name>/`, which `scripts/record_backends.py` records by running these same
  tests on the real program
* `stood_in`, a stand-in, for a system whose program is not to be found where tests run
"""

import importlib
import os
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from connectors.contract import Adapter, Window
from tests.connectors import subjects
from tests.server import ROOT

RECORDINGS = ROOT / "tests" / "data" / "backends"
SECRET = "correct-horse-battery-staple"
"""The credential of every adapter that is opened: it must never be seen again."""
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOW = Window(START, START.replace(hour=13))
"""When everything in the systems happened: fixed, so that recorded requests are asked again word for word."""

StandIn = Callable[[Path], AbstractContextManager[str]]


class Opened(Protocol):
    """Opens an adapter that sends SECRET as its credential."""

    def __call__(self, url: str, *, timeout_seconds: float = 30.0) -> Adapter:
        """Return an adapter of the system at an address."""
        ...


@dataclass(frozen=True, slots=True)
class MetricsExample:
    """Questions to a system's metrics. `query` yields at least three series in WINDOW, all with `labels`."""

    query: str
    labels: frozenset[str]
    unknown_query: str
    """In order, but of a metric that there is not."""
    bad_queries: Mapping[str, str]
    """Queries that are refused, and a part of the words by which the system (or its grammar) refuses each."""
    metric: str
    """One that is there; its name is a part of no more than the names of its own family. Empty where metrics have no
    names."""
    metric_type: str
    label: str
    """One of its labels, with at least two values."""
    values: frozenset[str]
    step_seconds: float = 60.0
    undefined_query: str = ""
    """One whose values are NaN or infinite, if the system has such."""


@dataclass(frozen=True, slots=True)
class LogsExample:
    """Questions to a system's logs. Lines that contain `text` are at least three in WINDOW."""

    text: str
    regex: str
    """For the same lines; empty: the system searches for none."""
    service: str
    """Whose lines, and whose alone, contain `text`."""
    labels: Mapping[str, str]
    """Of those lines."""
    query: str
    """In the system's own language, for the same lines; empty where logs have none."""
    bad_queries: Mapping[str, str]
    unknown_text: str = "no line has these words"
    counts_by_severity: bool = True
    """False: count_by_severity is UNSUPPORTED."""


@dataclass(frozen=True, slots=True)
class TracesExample:
    """Questions to a system's traces. At least three traces of `service` are in WINDOW; one of them has an error."""

    service: str
    operation: str
    tags: Mapping[str, str]
    """Of at least one of the traces, but not of all."""
    trace_id: str
    spans: int
    """How many `trace_id` has, at least two."""
    failed_trace_id: str
    slow_ns: int
    """A duration that some of the traces exceed, and some do not."""
    unknown_trace_id: str = "f" * 32
    bad_trace_id: str = ""
    """One that the system refuses, if it refuses any."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A system under test."""

    name: str
    """Of its recordings' folder and of its variable; lower case."""
    opened: Opened
    services: frozenset[str]
    """Some of those that WINDOW has."""
    metrics: MetricsExample | None = None
    logs: LogsExample | None = None
    traces: TracesExample | None = None
    started: Callable[[Path, Path], AbstractContextManager[str]] | None = None
    """Runs the real program at a path, in a folder, filled; its address."""
    stood_in: StandIn | None = None
    """Runs a stand-in in a folder; its address."""
    ignored: frozenset[str] = frozenset()
    """Parameters of requests that differ each time, such as a cursor that the system gave out."""
    scrubbed: Callable[[bytes], bytes] = field(default=bytes)
    """Removes from a recorded body what names the machine."""
    closes_when_cancelled: bool = True
    """Whether a request that is cancelled closes its connection."""
    is_http: bool = True
    """Whether HTML, statuses and silence of a server at its address reach the adapter as such."""

    @property
    def variable(self) -> str:
        """The environment variable with the path of the real program."""
        return f"TELEMETRY_TEST_{self.name.upper()}"

    @property
    def recordings(self) -> Path:
        """The folder of recorded answers."""
        return RECORDINGS / self.name

    @property
    def program(self) -> Path | None:
        """The real program, where the environment names one."""
        path = os.environ.get(self.variable)
        return Path(path) if path and self.started else None


def found() -> Sequence[Subject]:
    """Return all subjects, by name."""
    modules = [
        importlib.import_module(f"{subjects.__name__}.{one.name}")
        for one in pkgutil.iter_modules(subjects.__path__)
    ]
    return sorted((one for module in modules for one in module.SUBJECTS), key=lambda one: str(one.name))
