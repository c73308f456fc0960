"""A shop with an incident, as a kind of system: metrics, logs and traces over an hour and a half, held in memory.

At 11:20 version 2.5 of checkout begins to run; from 11:25 its CPU and errors rise, its heap is full, and its requests
fail or are slow. Its metrics are asked in PromQL, of which it evaluates what the tools send: selectors, rates (its
counters are kept as rates), aggregates, quotients. `fails` makes every question to a connection fail in one way.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import promql_parser

from access.reading import Desk
from access.store import Store
from config.settings import Settings
from connectors.addresses import Policy
from connectors.asking import Asking
from connectors.backend import Backend, Config
from connectors.contract import (
    About,
    BackendError,
    Cost,
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
    Severity,
    Signal,
    Span,
    Trace,
    TracesRequest,
    TracesResult,
    Window,
)
from connectors.directory import Directory
from connectors.entry import Draft
from connectors.installation import LateState, policy
from connectors.redaction import redaction
from connectors.registry import Registry
from connectors.tools.asker import Asker
from tests.nothing_store import NothingStore

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
START = NOW - timedelta(minutes=90)
INCIDENT = NOW - timedelta(minutes=35)
DEPLOY = NOW - timedelta(minutes=40)
TRACE = "0af7651916cd43dd8448eb211c80319c"
_TIMES = [START + timedelta(seconds=30 * number) for number in range(180)]


def _points(usual: float, odd: float) -> list[tuple[float, float]]:
    """Return a value each half minute, with some noise, and another one for ten minutes."""
    end = INCIDENT + timedelta(minutes=10)
    return [
        (
            time.timestamp(),
            (odd if INCIDENT <= time < end else usual) * (1 + ((number * 7919) % 13 - 6) / 200),
        )
        for number, time in enumerate(_TIMES)
    ]


def _series(name: str, usual: float, odd: float, **labels: str) -> Series:
    return Series({"__name__": name, **labels}, _points(usual, odd))


SERIES = [
    _series(
        "http_requests_total", 20.0, 18.0, service="checkout", namespace="shop", pod="checkout-1", code="200"
    ),
    _series(
        "http_requests_total", 0.2, 9.0, service="checkout", namespace="shop", pod="checkout-1", code="500"
    ),
    _series("http_requests_total", 10.0, 10.0, service="cart", namespace="basket", pod="cart-1", code="200"),
    _series(
        "http_request_duration_seconds_bucket", 0.1, 2.5, service="checkout", namespace="shop", le="+Inf"
    ),
    _series("container_cpu_usage_seconds_total", 0.2, 0.95, namespace="shop", pod="checkout-1"),
    _series("container_cpu_usage_seconds_total", 0.1, 0.45, namespace="basket", pod="cart-1"),
]
LINES = [
    LogLine(
        int(time.timestamp() * 10**9),
        f"order {number} placed",
        Severity.INFO,
        "checkout",
        "checkout-1",
        "shop",
        labels={"container": "app"},
        stream="checkout-1",
        id=f"info-{number}",
    )
    for number, time in enumerate(_TIMES)
] + [
    LogLine(
        int((INCIDENT + timedelta(seconds=20 * number)).timestamp() * 10**9),
        f"OutOfMemoryError: Java heap space in request {number}",
        Severity.ERROR,
        "checkout",
        "checkout-1",
        "shop",
        TRACE if number == 1 else f"{number:032x}",
        labels={"container": "app"},
        stream="checkout-1",
        id=f"error-{number}",
    )
    for number in range(12)
]


def _trace(trace_id: str, at: datetime, milliseconds: int, version: str, *, failed: bool) -> Trace:
    start = int(at.timestamp() * 10**9)
    length = milliseconds * 10**6
    attributes = {"http.status_code": "500" if failed else "200", "service.version": version}
    root = Span(
        trace_id, f"{1:016x}", "", "POST /pay", "checkout", start, length, "server", failed, "", attributes
    )
    child = Span(
        trace_id,
        f"{2:016x}",
        root.span_id,
        "charge",
        "payments",
        start + 10**6,
        length - 2 * 10**6,
        "client",
        failed,
        "heap is full" if failed else "",
        {"peer": "bank"},
    )
    return Trace(trace_id, (root, child), True, "checkout", "POST /pay", start, length, failed)


TRACES = [
    _trace(f"{1000 + number:032x}", START + timedelta(minutes=number), 100 + number % 7, "2.4", failed=False)
    for number in range(50)
] + [
    _trace(TRACE, INCIDENT + timedelta(seconds=20), 900, "2.5", failed=True),
    _trace(f"{2001:032x}", INCIDENT + timedelta(minutes=1), 5_200, "2.5", failed=False),
    _trace(f"{2002:032x}", DEPLOY + timedelta(seconds=5), 104, "2.5", failed=False),
]


class ShopConfig(Config):
    """A shop."""

    fails: str = ""
    """The kind of error of every question."""
    prefix: str = ""
    """What stands before each of its texts, in hexadecimal: a configuration does not hold every character."""


class Shop:
    """One shop."""

    backend_type = "shop"
    signals = frozenset(Signal)
    language = "promql"

    def __init__(self, config: ShopConfig, policy: Policy) -> None:
        del policy
        self._fails = config.fails
        self._prefix = bytes.fromhex(config.prefix).decode()

    def _check(self) -> None:
        if self._fails:
            raise BackendError(Kind(self._fails), "The shop is shut.", "detail of the shop")

    async def query_range(self, request: MetricsRequest) -> SeriesResult:
        """Evaluate a query."""
        self._check()
        try:
            found = _evaluated(promql_parser.parse(request.query))
        except ValueError as error:
            raise BackendError(Kind.BAD_QUERY, "The query is not accepted.", str(error)) from None
        begin, end = request.window.start.timestamp(), request.window.end.timestamp()
        cut = [
            Series(one.labels, [point for point in one.points if begin <= point[0] < end]) for one in found
        ]
        kept = [self._named(one) for one in cut if one.points]
        about = About(
            request.query, len(kept) > request.series, cost=Cost(rows=sum(len(one.points) for one in kept))
        )
        return SeriesResult(kept[: request.series], about)

    def _named(self, one: Series) -> Series:
        return Series({name: self._prefix + value for name, value in one.labels.items()}, one.points)

    async def metric_names(self, match: str, limit: int) -> Sequence[MetricName]:
        """List the names."""
        self._check()
        names = sorted({one.labels["__name__"] for one in SERIES})
        found = [MetricName(name, "counter", "s" if "seconds" in name else "", "help") for name in names]
        return [one for one in found if match in one.name][:limit]

    async def label_names(self, metric: str, window: Window, limit: int) -> Sequence[str]:
        """List the labels."""
        self._check()
        del window
        found = {name for one in SERIES if metric in {"", one.labels["__name__"]} for name in one.labels}
        return sorted(found - {"__name__"})[:limit]

    async def label_values(self, label: str, metric: str, window: Window, limit: int) -> Sequence[str]:
        """List the values."""
        self._check()
        del window
        found = {
            one.labels[label]
            for one in SERIES
            if metric in {"", one.labels["__name__"]} and label in one.labels
        }
        return sorted(found)[:limit]

    async def search(self, request: LogsRequest) -> LogsResult:
        """Search the lines; the cursor is how many were returned before."""
        self._check()
        found = sorted((line for line in LINES if _is_wanted(line, request)), key=lambda line: -line.time_ns)
        first = int(request.cursor or "0")
        page = found[first : first + request.limit]
        more = first + len(page) < len(found)
        lines = [replace(line, message=self._prefix + line.message) for line in page]
        return LogsResult(lines, About("shop", more, str(first + len(page)) if more else None))

    async def context(
        self, line: LogLine, before: int, after: int
    ) -> tuple[Sequence[LogLine], Sequence[LogLine]]:
        """Return the lines around one."""
        self._check()
        stream = sorted(
            (one for one in LINES if one.stream == line.stream), key=lambda one: (one.time_ns, one.id)
        )
        place = next(number for number, one in enumerate(stream) if one.id == line.id)
        return stream[max(0, place - before) : place], stream[place + 1 : place + 1 + after]

    async def count_by_severity(self, request: LogsRequest) -> Mapping[str, int]:
        """Count the lines."""
        self._check()
        counts: dict[str, int] = {}
        for line in LINES:
            if _is_wanted(line, request) and line.severity:
                counts[line.severity.value] = counts.get(line.severity.value, 0) + 1
        return counts

    async def trace(self, trace_id: str, window: Window | None) -> Trace:
        """Return a trace."""
        self._check()
        del window
        for one in TRACES:
            if one.trace_id == trace_id:
                return one
        raise BackendError(Kind.NOT_FOUND, "There is no such trace.")

    async def find(self, request: TracesRequest) -> TracesResult:
        """Find traces."""
        self._check()
        found = sorted((one for one in TRACES if _has(one, request)), key=lambda one: -one.start_ns)
        first = int(request.cursor or "0")
        page = found[first : first + request.limit]
        more = first + len(page) < len(found)
        shown = [replace(one, root_name=self._prefix + one.root_name) for one in page]
        return TracesResult(shown, About("", more, str(first + len(page)) if more else None))

    async def operations(self, service: str, window: Window, limit: int) -> Sequence[str]:
        """List the operations."""
        self._check()
        del window
        return sorted({span.name for one in TRACES for span in one.spans if span.service == service})[:limit]

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        """List the services."""
        self._check()
        del window
        return [self._prefix + name for name in ("cart", "checkout", "payments")][:limit]

    async def health(self) -> HealthReport:
        """Return whether it answers."""
        return HealthReport(Health.UNHEALTHY if self._fails else Health.HEALTHY)

    async def close(self) -> None:
        """Close nothing."""


SHOP = Backend("shop", "A shop", Shop.signals, ShopConfig, Shop)


def _evaluated(node: Any) -> list[Series]:  # noqa: PLR0911  one for each kind of node
    match node:
        case promql_parser.VectorSelector():
            return [one for one in SERIES if _is_selected(one.labels, node)]
        case promql_parser.MatrixSelector():
            return _evaluated(node.vector_selector)
        case promql_parser.Call():
            if node.func.name == "vector":
                return []
            return _evaluated(node.args[-1])
        case promql_parser.AggregateExpr():
            return _aggregated(node)
        case promql_parser.ParenExpr():
            return _evaluated(node.expr)
        case promql_parser.BinaryExpr():
            left, right = _evaluated(node.lhs), _evaluated(node.rhs)
            if "or" in str(node.op).lower() or not right:
                return left
            below = dict(right[0].points)
            return [
                Series(
                    one.labels,
                    [(time, value / below[time]) for time, value in one.points if value is not None],
                )
                for one in left
            ]
        case _:
            return []


def _aggregated(node: Any) -> list[Series]:
    by = list(node.modifier.labels) if node.modifier else []
    groups: dict[tuple[str, ...], list[Series]] = {}
    for one in _evaluated(node.expr):
        groups.setdefault(tuple(one.labels.get(name, "") for name in by), []).append(one)
    name = str(node.op)
    made = []
    for key, found in groups.items():
        points = []
        for row in zip(*(one.points for one in found), strict=True):
            values = sorted(value for _, value in row)
            result = (
                sum(values) if "sum" in name else sum(values) / len(values) if "avg" in name else values[-1]
            )
            points.append((row[0][0], values[0] if "min" in name else result))
        made.append(Series(dict(zip(by, key, strict=True)), points))
    return made


def _is_selected(labels: Mapping[str, str], selector: Any) -> bool:
    if selector.name and labels["__name__"] != selector.name:
        return False
    for one in selector.matchers.matchers:
        value = labels.get(one.name, "")
        operator = str(one.op)
        is_regex = operator.startswith(("MatchOp.Re", "MatchOp.NotRe"))
        matches = bool(re.fullmatch(one.value, value)) if is_regex else value == one.value
        if matches == ("Not" in operator):
            return False
    return True


def _is_wanted(line: LogLine, request: LogsRequest) -> bool:
    begin, end = (int(time.timestamp() * 10**9) for time in (request.window.start, request.window.end))
    text = line.message.casefold()
    alternatives = [part.casefold().split() for part in request.text.split(" OR ")]
    return (
        begin <= line.time_ns < end
        and any(all(word in text for word in words) for words in alternatives)
        and bool(re.search(request.regex, line.message))
        and request.severity in {None, line.severity}
        and all(
            wanted in {"", has}
            for wanted, has in (
                (request.service, line.service),
                (request.pod, line.pod),
                (request.namespace, line.namespace),
                (request.trace_id, line.trace_id),
            )
        )
        and all(line.labels.get(name) == value for name, value in request.labels.items())
    )


def _has(trace: Trace, request: TracesRequest) -> bool:
    begin, end = (int(time.timestamp() * 10**9) for time in (request.window.start, request.window.end))
    return (
        begin <= trace.start_ns < end
        and (request.has_error is None or trace.has_error == request.has_error)
        and any(
            request.service in {"", span.service}
            and request.operation in {"", span.name}
            and (request.min_duration_ns or 0) <= span.duration_ns <= (request.max_duration_ns or 1 << 62)
            and all(span.attributes.get(name) == value for name, value in request.tags.items())
            for span in trace.spans
        )
    )


def _settings(folder: Path) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    return Settings(_env_file=None, TELEMETRY_DATA_DIR=folder)  # type: ignore[call-arg]


@asynccontextmanager
async def asking(
    folder: Path,
    drafts: Sequence[Draft] = (Draft("prod", "shop", {}),),
    kinds: Sequence[Backend] = (SHOP,),
    **more: Any,
) -> AsyncIterator[Asking]:
    """Yield the way to ask connections of the user `owner`, over a state of its own."""
    settings = _settings(folder)
    late = LateState(settings)
    here = Asking(
        Directory(Registry(kinds, ()), late.connections, policy(settings)),
        late.history,
        redaction(settings),
        **more,
    )
    try:
        for draft in drafts:
            here.directory.added("owner", draft)
        yield here
    finally:
        await here.close()
        late.close()


def desk(store: Store | None = None) -> Desk:
    """Return a desk at NOW."""
    return Desk(store or NothingStore(), limiter=None, clock=lambda: NOW)


def asker(here: Asking, store: Store | None = None, caller: str = "owner") -> Asker:
    """Return one caller."""
    return Asker(desk(store).reading(caller), here)
