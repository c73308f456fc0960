"""Traces that a connection has, found by service, operation, length and failure; and the log lines of one trace."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from access.answer import Range
from access.reading import Reading
from access.refusal import invalid
from access.text import visible
from connectors.connected import Connected, Connection
from connectors.contract import LogsRequest, Signal
from connectors.tools.asker import Asker, Period, logs, traces
from connectors.tools.get_traces import id_of, request_of

FOUND: Final = 100
"""Traces on one view."""
LINES: Final = 200
"""Log lines of one trace that are shown."""
_BESIDE: Final = timedelta(minutes=1)
"""Clocks differ, and a line may be written after its span has ended."""
_SESSION: Final = "session.id"
_MILLISECOND: Final = 1e6
FIELDS: Final = ("service", "operation", "min_duration", "session", "failed")
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form asks for; empty: any."""

    service: str = ""
    operation: str = ""
    min_duration: str = ""
    session: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class TraceFound:
    """A trace of the list. `spans` is 0 where the search does not say."""

    trace_id: str
    start: datetime
    ms: float
    service: str
    operation: str
    spans: int
    has_error: bool


@dataclass(frozen=True, slots=True)
class TracesFound:
    """The list, the connection that it is from, and the cursor to further ones, "" for none."""

    connection: str
    traces: Sequence[TraceFound]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class Line:
    """A log line."""

    time: datetime
    severity: str
    service: str
    message: str


def wanted_of(query: Mapping[str, str]) -> Wanted:
    """Return what an address asks for."""
    return Wanted(**{name: query.get(name, "").strip()[:_LONGEST] for name in FIELDS})


async def connections(reading: Reading, connected: Connected, signal: Signal) -> Sequence[Connection]:
    """Return the caller's connections that have a signal."""
    return await connected.connections(reading.caller, signal)


async def found_traces(
    reading: Reading,
    connected: Connected,
    wanted: Wanted,
    about: tuple[Range, bool],
    connection: str | None,
    cursor: str = "",
) -> TracesFound:
    """Return the newest traces of a period. Raises Refusal."""
    asker = Asker(reading, connected)
    chosen = await asker.choose(Signal.TRACES, connection)
    filters: dict[str, object] = {
        name: value
        for name, value in (
            ("service", wanted.service),
            ("operation", wanted.operation),
            ("min_duration", wanted.min_duration),
        )
        if value
    }
    if wanted.session:
        filters["tags"] = {_SESSION: wanted.session}
    if wanted.failed:
        filters["has_error"] = True
    period = Period(about[0], goes_on=about[1])
    request = request_of(filters, period.window, FOUND, cursor or None)
    asked = await asker.ask(
        chosen,
        "page",
        "traces",
        request,
        lambda adapter: traces(adapter).find(request),
        text=str(filters or ""),
        period=period,
    )
    rows = [
        TraceFound(
            one.trace_id,
            _time(one.start_ns or min((span.start_ns for span in one.spans), default=0)),
            one.duration_ns / _MILLISECOND,
            visible(one.root_service, 100),
            visible(one.root_name, 200),
            len(one.spans) if one.is_whole else 0,
            bool(one.has_error),
        )
        for one in asked.result.traces
    ]
    return TracesFound(chosen.name, rows, asked.result.about.next_cursor or "")


async def log_lines(
    reading: Reading, connected: Connected, trace_id: str, window: tuple[int, int], connection: str | None
) -> tuple[str, Sequence[Line]]:
    """Return the log lines that name a trace, oldest first, and the connection that has them. Raises Refusal.

    `window` is when the trace began and ended, in nanoseconds. Without a connection, the one that fits best is asked.
    """
    asker = Asker(reading, connected)
    wanted = id_of(trace_id)
    chosen = await asker.choose(Signal.LOGS, connection)
    begin, end = (_time(one) for one in window)
    period = Period(Range(begin - _BESIDE, end + _BESIDE), goes_on=False)
    request = LogsRequest(period.window, trace_id=wanted, limit=LINES)
    asked = await asker.ask(
        chosen,
        "page",
        "logs",
        request,
        lambda adapter: logs(adapter).search(request),
        text=wanted,
        period=period,
    )
    lines = [
        Line(
            _time(one.time_ns),
            one.severity.value if one.severity else "",
            visible(one.service, 100),
            visible(one.message, 1_000),
        )
        for one in sorted(asked.result.lines, key=lambda line: line.time_ns)
    ]
    return chosen.name, lines


def _time(nanoseconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise invalid("trace", "The trace has a time that no clock shows.") from error
