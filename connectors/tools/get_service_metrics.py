"""`get_service_metrics`: how a service does, by its requests, errors, durations and saturation.

Of a system with PromQL it is worked out from the metrics that the system has (`connectors.tools.golden`); of one with
traces alone, from the newest traces of the service.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from access import budget
from access import series as thinning
from access.answer import Answer, Table
from access.refusal import Code, Refusal, invalid
from connectors.connected import Connection
from connectors.contract import Series, Signal, TracesRequest
from connectors.tools import discovery, golden
from connectors.tools.asker import Asker, Period, characters, text_of, traces
from connectors.tools.query_metrics import LABELS, OTHER_LANGUAGES, finite, series_of

TOOL: Final = "get_service_metrics"
COLUMNS: Final = (
    "signal",
    "unit",
    "last",
    "mean",
    "max",
    "p95",
    "slope_per_hour",
    "peak_at",
    "metric",
    "query",
)
NAMES: Final = 5_000
_VALUES: Final = 1_000
_TRACES: Final = 100
_POINTS: Final = 30


@dataclass(frozen=True, slots=True)
class Measured:
    """One of a service's signals."""

    what: golden.Golden
    series: Series


async def get_service_metrics(
    asker: Asker,
    service: str,
    *,
    time_range: Any = None,
    connection: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Answer:
    """Return the four signals of a service. Raises Refusal."""
    size = characters(max_characters)
    if not text_of(service, "service").strip():
        raise invalid("service", "Name a service: list_services has their names.")
    period = asker.period(time_range, zone)
    refusal: Refusal | None = None
    try:
        chosen = await asker.choose(Signal.METRICS, connection)
        found, failures = await measured(asker, chosen, service, period)
    except Refusal as error:
        if error.code not in {Code.UNKNOWN_NAME, Code.UNSUPPORTED}:
            raise
        refusal = error
        answer = await _of_traces(asker, service, connection, period, refusal)
        return budget.fit(answer, size)
    rows = [_row(one) for one in found]
    points, _ = budget.series({one.what.signal: finite(one.series.points) for one in found}, _POINTS)
    answer = Answer(
        COLUMNS,
        rows,
        tables={
            "series": points,
            **({"failed": Table(("signal", "code", "message"), failures)} if failures else {}),
        },
        time_range=period.range,
        parameters={
            "connection": chosen.name,
            "service": service,
            **({"chosen": chosen.reason} if chosen.reason else {}),
        },
        hints=(
            "detect_anomalies and compare_time_windows take a row's query; query_metrics with by-labels has its parts.",
        ),
        notes=(
            "errors is a share of the requests, from 0 to 1. A signal without a row has no metric of a usual name.",
        ),
    )
    return budget.fit(answer, size)


async def measured(
    asker: Asker, connection: Connection, service: str, period: Period
) -> tuple[list[Measured], list[tuple[str, str, str]]]:
    """Return a service's signals and what failed of them. Raises Refusal when there are none."""
    if connection.backend_type in OTHER_LANGUAGES:
        raise Refusal(
            Code.UNSUPPORTED,
            f"Metrics of {connection.backend_type} are not told apart by usual names: ask query_metrics.",
            "connection",
        )
    queries = await _queries(asker, connection, service, period)
    read = await asyncio.gather(
        *(
            series_of(asker, connection, one.query, period, period.step, series=1, tool=TOOL)
            for one in queries
        ),
        return_exceptions=True,
    )
    found: list[Measured] = []
    failures: list[tuple[str, str, str]] = []
    for what, one in zip(queries, read, strict=True):
        if isinstance(one, Refusal):
            failures.append((what.signal, one.code.value, one.message))
        elif isinstance(one, BaseException):
            raise one
        elif one.result.series:
            found.append(Measured(what, one.result.series[0]))
    if not found and failures:
        raise next(one for one in read if isinstance(one, Refusal))
    if not found:
        raise _unknown(connection, service)
    return found, failures


async def _queries(asker: Asker, connection: Connection, service: str, period: Period) -> list[golden.Golden]:
    known = [one.name for one in await discovery.metric_names(asker, connection, TOOL, "", NAMES)]
    queries: list[golden.Golden] = []
    # Some systems list a histogram by its family, others by its series.
    known += [f"{name}{suffix}" for name in known for suffix in ("_count", "_bucket")]
    count = golden.counter(known)
    if count is not None:
        labels = await _labels(asker, connection, count, period)
        label = await _label(asker, connection, count, labels, service, period)
        if label is not None:
            queries += golden.requests(known, labels, golden.selector_of(label, service))
    seen: set[str] = set()
    for name in golden.saturations(known):
        labels = await _labels(asker, connection, name, period)
        label = await _label(asker, connection, name, labels, service, period)
        selector = golden.selector_of(label, service) if label else ""
        if label is None and "pod" in labels:
            selector = golden.selector_of("pod", service, is_prefix=True)
        made = golden.saturation(name, selector) if selector else None
        if made is not None and made.signal not in seen:
            seen.add(made.signal)
            queries.append(made)
    return queries


async def _labels(asker: Asker, connection: Connection, metric: str, period: Period) -> Sequence[str]:
    return await discovery.label_names(asker, connection, TOOL, metric, period.window, _VALUES)


async def _label(
    asker: Asker, connection: Connection, metric: str, labels: Sequence[str], service: str, period: Period
) -> str | None:
    """Return the label whose value the service is."""
    for label in (*LABELS["service"], "destination_workload", "application", "container", "instance"):
        if label not in labels:
            continue
        values = await discovery.label_values(asker, connection, TOOL, label, metric, period.window, _VALUES)
        if service in values:
            return label
    return None


async def _of_traces(
    asker: Asker, service: str, connection: str | None, period: Period, refusal: Refusal
) -> Answer:
    """Return what the newest traces say of a service, where metrics do not."""
    try:
        chosen = await asker.choose(Signal.TRACES, connection)
    except Refusal:
        raise refusal from None
    request = TracesRequest(period.window, service=service, limit=_TRACES)
    asked = await asker.ask(
        chosen,
        TOOL,
        "traces",
        request,
        lambda adapter: traces(adapter).find(request),
        text=service,
        period=period,
    )
    found = asked.result.traces
    if not found:
        raise _unknown(chosen, service)
    spans = [
        span for trace in found for span in trace.spans if span.service == service and not span.parent_id
    ]
    durations = sorted(span.duration_ns / 1e6 for span in spans) or sorted(
        trace.duration_ns / 1e6 for trace in found
    )
    failed = sum(1 for trace in found if trace.has_error)
    rows: list[tuple[Any, ...]] = [
        ("traces", "count", len(found)),
        ("errors", "share", failed / len(found)),
        *(
            (f"duration_p{share}", "ms", durations[min(len(durations) - 1, share * len(durations) // 100)])
            for share in (50, 95, 99)
        ),
    ]
    return Answer(
        ("signal", "unit", "value"),
        rows,
        time_range=period.range,
        parameters={"connection": chosen.name, "service": service},
        query_executed=asked.result.about.query_executed,
        hints=("get_traces has the traces themselves.",),
        notes=(
            f"From the newest {len(found)} traces, since metrics do not say it: {refusal.message}"
            if not asked.result.about.has_more
            else f"From the newest {len(found)} traces of more, since metrics do not say it: {refusal.message}",
        ),
    )


def _row(one: Measured) -> tuple[Any, ...]:
    described = thinning.describe(finite(one.series.points))
    values = (
        (
            described.last,
            described.mean,
            described.max,
            described.p95,
            described.slope_per_hour,
            described.peak_at,
        )
        if described
        else (None,) * 6
    )
    return (one.what.signal, one.what.unit, *values, one.what.metric, one.what.query)


def _unknown(connection: Connection, service: str) -> Refusal:
    return Refusal(
        Code.UNKNOWN_NAME,
        f"Connection {connection.name} has no usual metric and no trace of a service {service[:100]!r} in this period:"
        " list_services has the names that it knows, query_metrics takes any metric.",
        "service",
    )
