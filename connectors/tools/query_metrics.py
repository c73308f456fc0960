"""`query_metrics`: series of a connected system, by a query in its language, or in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from access import series as thinning
from access.answer import moment
from access.document import Document, fit
from access.refusal import Code, Refusal, invalid
from connectors.connected import Asked, Connection
from connectors.contract import MetricsRequest, Point, Series, SeriesResult, Signal
from connectors.tools import discovery, plain_words, selectors
from connectors.tools.asker import (
    Asker,
    Period,
    Place,
    characters,
    metrics,
    named_values,
    number_of,
    one_of,
    said,
    text_of,
    told,
)
from connectors.tools.names import AGGREGATIONS, METRIC_FILTERS, SERIES_DETAILS
from connectors.tools.plain_words import Query

TOOL: Final = "query_metrics"
LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "service": ("service", "service_name", "job", "app", "app_kubernetes_io_name"),
    "pod": ("pod", "pod_name", "k8s_pod_name", "kubernetes_pod_name"),
    "namespace": ("namespace", "k8s_namespace_name", "kubernetes_namespace", "service_namespace"),
}
"""Under which of these labels systems have what a filter names, in the order in which they are tried."""
OTHER_LANGUAGES: Final = frozenset({"cloudwatch", "datadog", "loki"})
"""Kinds of system whose queries are not PromQL."""
SERIES: Final = 500
_POINTS: Final = 600
"""Points of all series of a summary together."""
_FEWEST: Final = 8
_WIDE: Final = 20
_CHUNK: Final = 200
_LABELS: Final = 500


async def query_metrics(
    asker: Asker,
    query: str,
    *,
    time_range: Any = None,
    aggregation: str | None = None,
    filters: Any = None,
    connection: str | None = None,
    detail: str = "summary",
    step_seconds: float | None = None,
    cursor: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Document:
    """Return the series of a query. Raises Refusal."""
    size = characters(max_characters)
    one_of(detail, SERIES_DETAILS, "detail")
    if aggregation is not None:
        one_of(aggregation, AGGREGATIONS, "aggregation")
    labels = {
        name: text_of(value, f"filters.{name}")
        for name, value in named_values(filters, METRIC_FILTERS, "filters").items()
    }
    arguments = [query, aggregation, labels, connection, detail, step_seconds]
    place = asker.begin(TOOL, arguments, cursor, lambda: asker.period(time_range, zone))
    chosen = await asker.choose(Signal.METRICS, place.connection or connection)
    step = _step(step_seconds, place.period)
    made = await understood(asker, chosen, query, labels, place.period)
    if made.period and time_range is None and cursor is None:
        place = Place(asker.period({"start": made.period}, zone))
        step = _step(step_seconds, place.period)
    asked = await series_of(asker, chosen, made.text, place.period, step, aggregation=aggregation, tool=TOOL)
    found = asked.result
    items = _points(found.series) if detail == "points" else _summaries(found.series)
    shown = items[place.skip :]
    answer = said(
        asked,
        found.about,
        place.period,
        hints=_hints(found, made.text, place.period, detail),
        notes=made.notes,
    )
    document = Document(
        {"results": shown, **({"alternatives": made.alternatives} if made.alternatives else {})},
        {
            "returned_count": len(shown),
            "total_count": None if found.about.has_more else len(found.series),
            "query_time_ms": asked.query_time_ms,
            "query_id": asked.query_id or None,
            "connection": told(chosen),
            "step_seconds": step,
        },
        answer,
    )
    return fit(
        document,
        size,
        lambda count: (
            asker.cursor(TOOL, arguments, place, chosen, None, place.skip + count) if count else None
        ),
    )


async def understood(
    asker: Asker, connection: Connection, query: str, labels: Mapping[str, str], period: Period
) -> Query:
    """Return a query as it is sent: words translated, the labels of filters in each selector. Raises Refusal."""
    text = text_of(query, "query").strip()
    if not text:
        raise invalid("query", "The query is empty.", ("rate(http_requests_total[5m])",))
    if connection.backend_type in OTHER_LANGUAGES:
        if labels:
            raise invalid(
                "filters",
                f"Filters are labels of PromQL. Write them into the query of {connection.backend_type}.",
            )
        return Query(text)
    words = plain_words.is_words(text) or not await plain_words.is_metric(asker, connection, TOOL, text)
    made = await plain_words.translated(asker, connection, TOOL, text, period) if words else Query(text)
    if (fault := selectors.fault(made.text)) and not fault.startswith("unknown function"):
        raise invalid("query", f"The query is not PromQL: {fault}.", ("rate(http_requests_total[5m])",))
    if not labels:
        return made
    names = await label_names(asker, connection, selectors.names(made.text), period)
    chosen = {}
    for name, value in labels.items():
        known = [label for label in LABELS[name] if label in names]
        if not known and names:
            raise Refusal(
                Code.UNKNOWN_NAME,
                f"The metrics of this query have no label for {name}: {', '.join(sorted(names)[:20])}.",
                f"filters.{name}",
                accepted=LABELS[name],
            )
        chosen[known[0] if known else name] = value
    return replace(made, text=selectors.with_labels(made.text, chosen))


async def label_names(
    asker: Asker, connection: Connection, names: Sequence[str], period: Period
) -> frozenset[str]:
    """Return the names of the labels of some metrics, those that all have. Raises Refusal."""
    found = [
        frozenset(await discovery.label_names(asker, connection, TOOL, name, period.window, _LABELS))
        for name in names[:5] or [""]
    ]
    return frozenset.intersection(*found)


async def series_of(
    asker: Asker,
    connection: Connection,
    query: str,
    period: Period,
    step: float,
    *,
    aggregation: str | None = None,
    series: int = SERIES,
    tool: str = TOOL,
) -> Asked[SeriesResult]:
    """Return the series of a query in the system's language. Raises Refusal."""
    is_promql = connection.backend_type not in OTHER_LANGUAGES
    text = selectors.aggregated(query, aggregation) if aggregation and is_promql else query
    request = MetricsRequest(text, period.window, step, series)
    asked = await asker.ask(
        connection,
        tool,
        "metrics",
        request,
        lambda adapter: metrics(adapter).query_range(request),
        text=text,
        period=period,
    )
    if aggregation and not is_promql:
        one = Series({"aggregation": aggregation}, _aggregated(asked.result.series, aggregation))
        result = SeriesResult([one] if one.points else [], asked.result.about)
        return Asked(result, asked.connection, asked.query_id, asked.query_time_ms, asked.cached_age_seconds)
    return asked


def name_of(labels: Mapping[str, str]) -> str:
    """Return a series' labels on one line, as PromQL writes them."""
    name = labels.get("__name__", "")
    rest = ",".join(f'{key}="{value}"' for key, value in labels.items() if key != "__name__")
    return f"{name}{{{rest}}}" if rest or not name else name


def finite(points: Sequence[Point]) -> list[thinning.Point]:
    """Return the points with a value, with their times."""
    return [(datetime.fromtimestamp(time, UTC), value) for time, value in points if value is not None]


def summary(points: Sequence[Point]) -> dict[str, Any] | None:
    """Return what describes a series, None for one without values."""
    found = thinning.describe(finite(points))
    if found is None:
        return None
    return dict(zip(thinning.COLUMNS, found.row(), strict=True)) | {"peak_at": moment(found.peak_at)}


def _step(wanted: float | None, period: Period) -> float:
    if wanted is None:
        return period.step
    step = float(number_of(wanted, "step_seconds", 1, 86_400, 60))
    if period.window.seconds / step > 11_000:  # noqa: PLR2004  Prometheus' own bound
        raise invalid(
            "step_seconds", f"That is more than 11,000 points: take {period.step:g} seconds or more."
        )
    return step


def _summaries(series: Sequence[Series]) -> list[dict[str, Any]]:
    each = max(_FEWEST, min(thinning.POINTS, _POINTS // max(1, len(series))))
    return [
        {
            "metric": dict(one.labels),
            "summary": summary(one.points),
            "values": [
                [int(time.timestamp()), value] for time, value in thinning.thin(finite(one.points), each)
            ],
        }
        for one in series
    ]


def _points(series: Sequence[Series]) -> list[dict[str, Any]]:
    """Return all points, a long series in several items, so that a page can end within one."""
    return [
        {"metric": dict(one.labels), "values": [list(point) for point in one.points[start : start + _CHUNK]]}
        for one in series
        for start in range(0, max(1, len(one.points)), _CHUNK)
    ]


def _hints(found: SeriesResult, made: str, period: Period, detail: str) -> list[str]:
    """Return what to ask instead of what is wide, and next when there is nothing."""
    hints = []
    count = len(found.series)
    if not count:
        hints.append(
            "The query is valid and selects no series in this period. discover lists names, labels and values; a longer"
            " time_range, or fewer filters, may have some."
        )
    if (count > _WIDE or found.about.has_more) and found.about.query_executed:
        label = _grouping(found.series)
        grouped = f" or sum by ({label}) (…)" if label else ""
        many = f"{count:,} or more" if found.about.has_more else f"{count:,}"
        hints.append(f"{many} series: topk(5, {made[:200]}) has the largest{grouped}.")
    if count and detail == "summary":
        hints.append("values are the extremes of each part of the period: detail=points has all of them.")
    if count and period.window.seconds > 7 * 86_400:
        hints.append("A narrower time_range has a finer step.")
    return hints


def _grouping(series: Sequence[Series]) -> str:
    """Return the label with the fewest values of those that have several."""
    values: dict[str, set[str]] = {}
    for one in series:
        for name, value in one.labels.items():
            values.setdefault(name, set()).add(value)
    several = [(len(found), name) for name, found in values.items() if len(found) > 1 and name != "le"]
    return min(several)[1] if several else ""


def _aggregated(series: Sequence[Series], aggregation: str) -> list[Point]:
    """Return one value of all series at each time."""
    at: dict[float, list[float]] = {}
    for one in series:
        for time, value in one.points:
            if value is not None:
                at.setdefault(time, []).append(value)
    return [(time, _one(sorted(values), aggregation)) for time, values in sorted(at.items())]


def _one(values: list[float], aggregation: str) -> float:
    match aggregation:
        case "sum":
            return sum(values)
        case "avg":
            return sum(values) / len(values)
        case "max":
            return values[-1]
        case "min":
            return values[0]
        case _:
            # As PromQL's quantile(): interpolated between neighbours.
            place = (0.95 if aggregation == "p95" else 0.99) * (len(values) - 1)
            low = int(place)
            high = min(low + 1, len(values) - 1)
            return values[low] + (values[high] - values[low]) * (place - low)
