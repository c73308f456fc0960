"""The own store as one of the connected systems: its metrics by PromQL, its log records and events, its traces.

It asks the tables as the user who only reads, each question in a thread. A session's events are a stream of lines.
Metrics are those that are stored as OpenTelemetry's, under the names that Prometheus would have for them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

from access.store import Rows, Store
from connectors.contract import (
    About,
    BackendError,
    Health,
    HealthReport,
    Kind,
    LogLine,
    LogsRequest,
    LogsResult,
    MetricName,
    MetricsRequest,
    Series,
    SeriesResult,
    Signal,
    Span,
    SpanEvent,
    SpanReference,
    Trace,
    TracesRequest,
    TracesResult,
    Window,
)
from connectors.moments import nanoseconds
from connectors.promql.evaluation import Evaluation
from connectors.quoting import quoted
from connectors.refusals import backend_errors
from connectors.replies import report_of
from connectors.spans import trace_id_of, trace_of
from connectors.stored_logs import PERIOD, Which, array, asked, filled, line_of, neighbours, statement

T = TypeVar("T")

_SPANS: Final = 10_000
"""Of one trace by its id."""
_SPANS_FOUND: Final = 200
"""Of each trace of a search."""
_BYTES: Final = 64 << 20
_FAILED: Final = "Error"
_KINDS: Final = {"Server": "server", "Client": "client", "Internal": "internal", "Producer": "producer",
                 "Consumer": "consumer"}  # fmt: skip


class Threaded(Protocol):
    """Runs a call that waits for the store, in a thread."""

    async def __call__(self, call: Callable[[], T], /) -> T:
        """Return what the call returns, or raise what it raises."""
        ...


class TelemetryStore:
    """The adapter of this store. It satisfies Adapter, Metrics, Logs and Traces."""

    backend_type = "clickhouse"
    signals = frozenset(Signal)
    language = "promql"

    def __init__(self, store: Store, threaded: Threaded = asyncio.to_thread) -> None:
        self._store = store
        self._threaded = threaded
        self._metrics = Evaluation(store)

    async def health(self) -> HealthReport:
        """Return whether the tables can be asked, and ClickHouse's version."""
        try:
            rows = await self._rows("SELECT version()", {})
        except BackendError as error:
            return report_of(error)
        return HealthReport(Health.HEALTHY, version=str(rows.rows[0][0])[:40])

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        """Return the names of services that sent anything in a period."""
        rows = await self._rows(statement("services"), {**_period(window), "limit": str(limit)})
        return [name for (name,) in rows.rows]

    async def close(self) -> None:
        """Do nothing: the store belongs to the process."""

    # ------------------------------------------------------------ metrics

    async def query_range(self, request: MetricsRequest) -> SeriesResult:
        """Return the series of a PromQL query."""
        step = max(1, round(request.step_seconds * 1000))
        start, end = (int(one.timestamp() * 1000) for one in (request.window.start, request.window.end))
        found = await self._threaded(
            lambda: self._metrics.over(request.query, start, max(start, end - 1), step, request.series)
        )
        series = [
            Series(
                dict(one.labels),
                [(ms / 1000, value if _is_finite(value) else None) for ms, value in one.points],
            )
            for one in found.series
        ]
        return SeriesResult(series, About(request.query, has_more=found.has_more))

    async def metric_names(self, match: str, limit: int) -> Sequence[MetricName]:
        """Return the stored metrics whose name, either one, contains a text."""
        start, end = _ever()
        known = await self._threaded(lambda: self._metrics.metrics(start, end))
        wanted = match.lower()
        found = [one for one in known if wanted in one.name.lower() or wanted in one.metric.lower()]
        return [MetricName(one.name, one.type, one.unit, one.help) for one in found[:limit]]

    async def label_names(self, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the names of a metric's labels."""
        start, end = _milliseconds(window)
        names = await self._threaded(lambda: self._metrics.label_names(_selector(metric), start, end))
        return names[:limit]

    async def label_values(self, label: str, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the values of a label."""
        start, end = _milliseconds(window)
        values = await self._threaded(
            lambda: self._metrics.label_values(label, _selector(metric), start, end)
        )
        return values[:limit]

    # ------------------------------------------------------------ logs

    async def search(self, request: LogsRequest) -> LogsResult:
        """Return log records and events. The cursor is the time of the last one, and how many of it were shown."""
        which = asked(request)
        skip = 0
        if request.cursor is not None:
            at, skip = _cursor(request.cursor)
            which.values["until"] = str(at)
            which.parts.append("Timestamp <= fromUnixTimestamp64Nano({until:Int64}, 'UTC')")
        lines = await self._lines("log_lines", which, request.limit + 1, skip)
        has_more = len(lines) > request.limit
        shown = lines[: request.limit]
        cursor = None
        if has_more and shown:
            last = shown[-1].time_ns
            of_last = sum(line.time_ns == last for line in shown)
            before = skip if request.cursor is not None and _cursor(request.cursor)[0] == last else 0
            cursor = f"{last}:{of_last + before}"
        words = " AND ".join(
            f"{name}={value!r}"
            for name, value in (
                ("text", request.text),
                ("regex", request.regex),
                ("severity", request.severity and request.severity.value),
                ("service", request.service),
                ("namespace", request.namespace),
                ("pod", request.pod),
                ("trace_id", request.trace_id),
            )
            if value
        )
        return LogsResult(shown, About(f"otel_logs {words}".strip(), has_more=has_more, next_cursor=cursor))

    async def context(
        self, line: LogLine, before: int, after: int
    ) -> tuple[Sequence[LogLine], Sequence[LogLine]]:
        """Return the lines of the same session before and after one, or of the same service where it has none."""
        earlier = await self._lines("log_lines", neighbours(line, is_after=False), before) if before else []
        later = (
            await self._lines("log_lines", neighbours(line, is_after=True), after, 0, "ASC") if after else []
        )
        return list(reversed(earlier)), later

    async def count_by_severity(self, request: LogsRequest) -> Mapping[str, int]:
        """Return how many lines a request selects, by severity."""
        which = asked(request)
        rows = await self._rows(filled("log_severities", which), which.values)
        return {name: int(count) for name, count in rows.rows}

    # ------------------------------------------------------------ traces

    async def trace(self, trace_id: str, window: Window | None) -> Trace:
        """Return a trace of up to 10,000 spans. It is found by its id alone. Raises NOT_FOUND."""
        del window
        wanted = trace_id_of(trace_id)
        ((found, begin, end),) = (await self._rows(statement("trace_period"), {"id": wanted})).rows
        spans = []
        if found:
            times = (int(begin) * 10**9, (int(end) + 1) * 10**9)
            spans = await self._spans([wanted], times, _SPANS + 1)
        if not spans:
            raise BackendError(Kind.NOT_FOUND, "This store has no trace of this id, or no longer.")
        trace = trace_of(wanted, spans[:_SPANS])
        return trace if len(spans) <= _SPANS else _part(trace)

    async def find(self, request: TracesRequest) -> TracesResult:
        """Return traces with a span for which all holds, newest first, with up to 200 spans of each."""
        which = _matching(request)
        before = (
            nanoseconds(request.window.end) if request.cursor is None else _cursor(f"{request.cursor}:0")[0]
        )
        values = {**which.values, "before": str(before), "limit": str(request.limit + 1)}
        rows = await self._rows(statement("traces_found").replace("/* which */", which.sql), values)
        found = [(str(trace_id), int(start)) for trace_id, start in rows.rows]
        has_more = len(found) > request.limit
        found = found[: request.limit]
        if not found:
            return TracesResult([], About("otel_traces"))
        # Spans of a trace may begin before the period, and end after it.
        hour = 3600 * 10**9
        times = (min(start for _, start in found) - hour, max(start for _, start in found) + 24 * hour)
        spans = await self._spans([trace_id for trace_id, _ in found], times, _SPANS_FOUND)
        traces = []
        for trace_id, _ in found:
            own = [span for span in spans if span.trace_id == trace_id]
            trace = trace_of(trace_id, own)
            traces.append(trace if len(own) < _SPANS_FOUND else _part(trace))
        cursor = str(found[-1][1]) if has_more else None
        return TracesResult(traces, About("otel_traces", has_more=has_more, next_cursor=cursor))

    async def operations(self, service: str, window: Window, limit: int) -> Sequence[str]:
        """Return the names of a service's spans."""
        values = {**_period(window), "service": service, "limit": str(limit)}
        return [name for (name,) in (await self._rows(statement("operations"), values)).rows]

    # ------------------------------------------------------------ the store

    async def _spans(self, ids: Sequence[str], times: tuple[int, int], each: int) -> list[Span]:
        values = {
            "ids": array(ids),
            "from": str(times[0]),
            "to": str(times[1]),
            "spans": str(each),
            "most": str(_SPANS + 1),
        }
        return [_span(row) for row in (await self._rows(statement("spans"), values)).dicts()]

    async def _lines(
        self, name: str, which: Which, limit: int, skip: int = 0, order: str = "DESC"
    ) -> list[LogLine]:
        values = {**which.values, "limit": str(limit), "skip": str(skip)}
        return [line_of(row) for row in (await self._rows(filled(name, which, order), values)).dicts()]

    async def _rows(self, sql: str, values: Mapping[str, str]) -> Rows:
        def ask() -> Rows:
            with backend_errors():
                return self._store.rows(sql, values, max_bytes=_BYTES)

        return await self._threaded(ask)


def _matching(request: TracesRequest) -> Which:
    """Return the condition for a span that a request selects."""
    which = Which([PERIOD], _period(request.window))
    if request.service:
        which.add("ServiceName = {}", request.service)
    if request.operation:
        which.add("SpanName = {}", request.operation)
    if request.min_duration_ns is not None:
        which.add("Duration >= toUInt64({})", str(request.min_duration_ns))
    if request.max_duration_ns is not None:
        which.add("Duration <= toUInt64({})", str(request.max_duration_ns))
    if request.has_error is not None:
        which.add(f"StatusCode {'=' if request.has_error else '!='} {{}}", _FAILED)
    for key, value in request.tags.items():
        which.add_pair("SpanAttributes", key, value)
    return which


def _span(row: Mapping[str, Any]) -> Span:
    events = zip(row["event_times"], row["event_names"], row["event_attributes"], strict=True)
    links = zip(row["link_traces"], row["link_spans"], strict=True)
    parent = row["parent_id"]
    own = [SpanReference("CHILD_OF", row["trace_id"], parent)] if parent else []
    return Span(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        parent_id=parent,
        name=row["name"],
        service=row["service"],
        start_ns=int(row["start_ns"]),
        duration_ns=int(row["duration_ns"]),
        kind=_KINDS.get(row["kind"], ""),
        is_error=row["status_code"] == _FAILED,
        status=row["status"],
        attributes=dict(row["attributes"]),
        events=[SpanEvent(int(time), name, dict(attributes)) for time, name, attributes in events],
        references=[*own, *(SpanReference("LINK", trace, span) for trace, span in links)],
    )


def _part(trace: Trace) -> Trace:
    """Return a trace of which there are more spans."""
    return Trace(
        trace.trace_id, trace.spans, False, trace.root_service, trace.root_name, trace.start_ns,
        trace.duration_ns, trace.has_error,
    )  # fmt: skip


def _cursor(text: str) -> tuple[int, int]:
    at, _, skip = text.partition(":")
    if not (at.isdecimal() and skip.isdecimal() and len(at) <= 19 and len(skip) <= 9):  # noqa: PLR2004
        raise BackendError(Kind.BAD_QUERY, "The cursor is not one of this connection's.")
    return int(at), int(skip)


def _period(window: Window) -> dict[str, str]:
    return {"from": str(nanoseconds(window.start)), "to": str(nanoseconds(window.end))}


def _milliseconds(window: Window) -> tuple[int, int]:
    return int(window.start.timestamp() * 1000), int(window.end.timestamp() * 1000)


def _ever() -> tuple[int, int]:
    return 0, int(datetime.now(UTC).timestamp() * 1000)


def _selector(metric: str) -> list[str]:
    return [f"{{__name__={quoted(metric)}}}"] if metric else []


def _is_finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")  # noqa: PLR0124  NaN is not itself
