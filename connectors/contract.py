"""What every observability system looks like from here: series, log lines, spans, and the questions about them.

An adapter translates one system's interface to these shapes and holds no state but its client. It implements those of
the protocols Metrics, Logs and Traces that its system can answer, and always Adapter; its `signals` say which. It asks
for no more than a request wants, and says in the result what the system left out. It raises a BackendError and nothing
else when there is no answer. Texts are returned as the system has them: `connectors.redaction` removes what is private
before anything of an adapter's answer is kept or shown.

Times are integers in nanoseconds since 1970 in UTC, except of points, which are seconds as Prometheus has them.
Durations are in nanoseconds. Ids of traces are 32 and of spans 16 lower-case hexadecimal digits, padded with zeros.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable


class Signal(StrEnum):
    """What a system can be asked for."""

    METRICS = "metrics"
    LOGS = "logs"
    TRACES = "traces"


class Kind(StrEnum):
    """Why a system gave no answer."""

    UNREACHABLE = "unreachable"
    """No connection: refused, no such host, a broken connection, a certificate that is not trusted."""
    FORBIDDEN_ADDRESS = "forbidden_address"
    """Our own guard does not allow the address, port or scheme."""
    UNAUTHORIZED = "unauthorized"
    """The credentials were refused, or are not enough."""
    BAD_QUERY = "bad_query"
    """The system does not accept the query; its words say why."""
    NOT_FOUND = "not_found"
    """There is no such trace, index or path."""
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    """The answer is larger than what is read of one."""
    MALFORMED = "malformed"
    """The answer is not what the system's interface documents: HTML, truncated JSON, values of another type."""
    UNSUPPORTED = "unsupported"
    """This system cannot answer a question of this kind."""
    FAILED = "failed"
    """The system reports an error of its own."""


# Not frozen: contextlib sets an exception's traceback.
@dataclass(eq=False)
class BackendError(Exception):
    """Why a system gave no answer. `message` is a sentence with the remedy and holds no credentials.

    `detail` is what the system itself said, for Kind.BAD_QUERY and Kind.FAILED: text of another system, which is
    redacted, made visible and bounded before it is shown. `retry_after_seconds` is what the system asked for.
    """

    kind: Kind
    message: str
    detail: str = ""
    status: int | None = None
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        return self.message


class Health(StrEnum):
    """How a system is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """It answers, but not as it should: slowly, or in part."""
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What a health check found. `reason` is empty when healthy; `version` is the system's own, where it says so."""

    health: Health
    reason: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A period from `start` up to but without `end`, both aware and in UTC."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        """The length of the period."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Cost:
    """What a query cost, as far as the system says; None is unknown."""

    rows: int | None = None
    """Series, samples, lines or spans that were read."""
    bytes: int | None = None
    milliseconds: float | None = None
    """Within the system."""


@dataclass(frozen=True, slots=True)
class About:
    """What every result says beside its rows."""

    query_executed: str = ""
    """The query in the system's own language, as it was sent."""
    has_more: bool = False
    """The system has more than was asked for or read."""
    next_cursor: str | None = None
    """The adapter's own, to go on after these; None where it cannot."""
    total_count: int | None = None
    """All that there are, only where the system knows."""
    is_partial: bool = False
    """The system says that a part of it did not answer."""
    warnings: Sequence[str] = ()
    """The system's own words."""
    notes: Sequence[str] = ()
    """What the adapter asked otherwise than it was told to, and what it left out: a wider step, a kind of value."""
    cost: Cost | None = None


# ---------------------------------------------------------------- metrics

Point = tuple[float, float | None]
"""Seconds since 1970, and the value; None where the system says NaN or an infinity."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its labels, the metric's name among them as `__name__` where there is one; points by time."""

    labels: Mapping[str, str]
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """Series in the system's order."""

    series: Sequence[Series]
    about: About = field(default_factory=About)


@dataclass(frozen=True, slots=True)
class MetricsRequest:
    """A query in the system's own language over a period; a point each `step_seconds`, in at most `series` series."""

    query: str
    window: Window
    step_seconds: float
    series: int = 1_000


@dataclass(frozen=True, slots=True)
class MetricName:
    """A metric. `type` is counter, gauge, histogram, summary or unknown; `unit` is a UCUM code or empty."""

    name: str
    type: str = "unknown"
    unit: str = ""
    help: str = ""


@runtime_checkable
class Metrics(Protocol):
    """A system that has metrics."""

    language: str
    """The language of its queries: promql, cloudwatch, datadog."""

    async def query_range(self, request: MetricsRequest) -> SeriesResult:
        """Return the series that a query yields over a period."""
        ...

    async def metric_names(self, match: str, limit: int) -> Sequence[MetricName]:
        """Return metrics whose name contains `match` (all for an empty one), at most `limit`, by name."""
        ...

    async def label_names(self, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the names of a metric's labels, of all metrics' for an empty name."""
        ...

    async def label_values(self, label: str, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the values of a label, at most `limit`, by name."""
        ...


# ---------------------------------------------------------------- logs


class Severity(StrEnum):
    """The severities by which logs are filtered; a system's own are mapped to them (FATAL to error, TRACE to debug)."""

    ERROR = "error"
    WARN = "warn"
    INFO = "info"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `stream` names where the lines before and after it are, in a form of the adapter's own."""

    time_ns: int
    message: str
    severity: Severity | None = None
    service: str = ""
    pod: str = ""
    namespace: str = ""
    trace_id: str = ""
    span_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    stream: str = ""
    id: str = ""
    """The system's own id of the line, where it has one."""


@dataclass(frozen=True, slots=True)
class LogsRequest:
    """Which lines: all that is given must hold. Newest first, at most `limit`.

    `text` is words that the line contains, in any case, `A OR B` for alternatives; `regex` an RE2 expression that it
    matches; `query` one in the system's own language, instead of text and regex.
    """

    window: Window
    text: str = ""
    regex: str = ""
    query: str = ""
    severity: Severity | None = None
    service: str = ""
    namespace: str = ""
    pod: str = ""
    trace_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class LogsResult:
    """Lines, newest first over all streams."""

    lines: Sequence[LogLine]
    about: About = field(default_factory=About)


@runtime_checkable
class Logs(Protocol):
    """A system that has logs."""

    async def search(self, request: LogsRequest) -> LogsResult:
        """Return the lines that a request selects."""
        ...

    async def context(
        self, line: LogLine, before: int, after: int
    ) -> tuple[Sequence[LogLine], Sequence[LogLine]]:
        """Return the lines of the same stream before and after one, each in the order of time."""
        ...

    async def count_by_severity(self, request: LogsRequest) -> Mapping[str, int]:
        """Return how many lines a request selects, by severity (`unknown` for none). Raises UNSUPPORTED."""
        ...


# ---------------------------------------------------------------- traces


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at a moment of a span."""

    time_ns: int
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanReference:
    """A span that another refers to. `type` is CHILD_OF, FOLLOWS_FROM or LINK."""

    type: str
    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """One span; the values of attributes are text."""

    trace_id: str
    span_id: str
    parent_id: str
    """Empty for a root."""
    name: str
    service: str
    start_ns: int
    duration_ns: int
    kind: str = ""
    """server, client, internal, producer, consumer, or empty."""
    is_error: bool = False
    status: str = ""
    """The status' message."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[SpanEvent] = ()
    references: Sequence[SpanReference] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace: all its spans, or of a search those that the system returns (`is_whole` is then False)."""

    trace_id: str
    spans: Sequence[Span]
    is_whole: bool = True
    root_service: str = ""
    root_name: str = ""
    start_ns: int = 0
    duration_ns: int = 0
    has_error: bool | None = None
    """None: the system's search does not say."""


@dataclass(frozen=True, slots=True)
class TracesRequest:
    """Which traces: those with a span for which all that is given holds. Newest first, at most `limit`."""

    window: Window
    service: str = ""
    operation: str = ""
    min_duration_ns: int | None = None
    max_duration_ns: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    has_error: bool | None = None
    limit: int = 20
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class TracesResult:
    """Traces, newest first."""

    traces: Sequence[Trace]
    about: About = field(default_factory=About)


@runtime_checkable
class Traces(Protocol):
    """A system that has traces."""

    async def trace(self, trace_id: str, window: Window | None) -> Trace:
        """Return a whole trace. The window is where to look, for systems that need one. Raises NOT_FOUND."""
        ...

    async def find(self, request: TracesRequest) -> TracesResult:
        """Return the traces that a request selects."""
        ...

    async def operations(self, service: str, window: Window, limit: int) -> Sequence[str]:
        """Return the names of a service's spans."""
        ...


@runtime_checkable
class Adapter(Protocol):
    """What every system is asked; `signals` say which of Metrics, Logs and Traces it implements too."""

    backend_type: str
    signals: frozenset[Signal]

    async def health(self) -> HealthReport:
        """Return how the system is. It does not raise: an error is a report."""
        ...

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        """Return the names of services that sent anything in a period, as far as the system knows them."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
