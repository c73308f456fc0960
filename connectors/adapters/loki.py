"""Loki: logs by LogQL, and the metrics that LogQL makes of them.

Loki orders lines within a stream alone: they are merged by time here. One line more than wanted is asked for, which
proves that there is more; a cursor is the time of the last line and which lines of that very nanosecond were returned.
Labels of streams are told from structured metadata by asking for categorized labels, which Loki does since 2.9.5; an
older one's answers are told apart by the names of labels. Interface: https://grafana.com/docs/loki/latest/reference/loki-http-api/
"""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import Field

from connectors.addresses import Policy
from connectors.backend import Backend, HttpConfig
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
    Point,
    Series,
    SeriesResult,
    Severity,
    Signal,
    Window,
)
from connectors.logql import (
    LEVEL,
    SERVICE,
    Known,
    any_label,
    doubtful,
    log_queries,
    name_of,
    selector,
    severity_stages,
    unknown_severity_stages,
)
from connectors.loki_streams import cursor_after, digest, lines_of, place_of, severity_of_line, texts_of
from connectors.moments import nanoseconds
from connectors.replies import error_of, list_of, number_of, object_of, reading, report_of, text_of
from connectors.upstream import Upstream

_PREFIX: Final = "/loki/api/v1"
_CATEGORIZED: Final = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
_AROUND_NS: Final = 24 * 3600 * 10**9
"""How far from a line its neighbours are looked for."""
_SAME_MOMENT: Final = 64
"""How many lines of one stream and nanosecond are expected at most."""


class LokiConfig(HttpConfig):
    """How Loki is asked. The tenant, where there are some, is `tenant`."""

    default_limit: int = Field(
        default=1_000, ge=1, description="Lines of an answer when a request does not say."
    )
    max_limit: int = Field(
        default=5_000, ge=2, description="Most lines of a query: Loki's own max_entries_limit_per_query."
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """Lines in Loki's order, and what it said of them."""

    lines: Sequence[LogLine]
    warnings: Sequence[str]
    cost: Cost | None


class Loki:
    """The adapter of Loki."""

    backend_type = "loki"
    signals = frozenset({Signal.LOGS, Signal.METRICS})
    language = "logql"

    def __init__(self, config: LokiConfig, policy: Policy) -> None:
        self._config = config
        self._upstream = Upstream(config.target(), policy)

    # ---------------------------------------------------------------- logs

    async def search(self, request: LogsRequest) -> LogsResult:
        """Return lines, newest first."""
        limit = min(max(1, request.limit or self._config.default_limit), self._config.max_limit - 1)
        start, end = _bounds(request.window)
        seen: frozenset[str] = frozenset()
        if request.cursor is not None:
            moment, seen = place_of(request.cursor)
            end = min(end, moment + 1)
        known = await self._known(request)
        queries = log_queries(request, known)
        depth = min(limit + len(seen) + 1, self._config.max_limit)
        answers = await asyncio.gather(
            *(self._lines(query, start, end, depth, known.names) for query in queries)
        )
        merged = sorted((line for answer in answers for line in answer.lines), key=lambda line: -line.time_ns)
        rest = [line for line in merged if not (line.time_ns == end - 1 and digest(line) in seen)]
        lines = rest[:limit]
        has_more = len(rest) > limit or any(len(answer.lines) >= depth for answer in answers)
        return LogsResult(
            lines,
            About(
                "\n".join(queries),
                has_more=has_more,
                next_cursor=cursor_after(lines, end - 1, seen) if has_more and lines else None,
                notes=_notes(queries, known),
                warnings=[warning for answer in answers for warning in answer.warnings],
                cost=_sum(answer.cost for answer in answers),
            ),
        )

    async def context(
        self, line: LogLine, before: int, after: int
    ) -> tuple[Sequence[LogLine], Sequence[LogLine]]:
        """Return the neighbours of a line in its stream, within a day. Lines of its nanosecond keep Loki's order."""
        if not before and not after:
            return [], []
        labels = _labels_of(line.stream)
        query, names = selector(labels), frozenset(labels)
        moment, most = line.time_ns, self._config.max_limit
        earlier, later = await asyncio.gather(
            self._lines(query, moment - _AROUND_NS, moment, min(max(before, 1), most), names),
            self._lines(
                query,
                moment,
                moment + _AROUND_NS,
                min(after + _SAME_MOMENT, most),
                names,
                direction="forward",
            ),
        )
        same = [one for one in later.lines if one.time_ns == moment]
        rest = [one for one in later.lines if one.time_ns > moment]
        place = next((number for number, one in enumerate(same) if one.message == line.message), len(same))
        previous = [*reversed(earlier.lines), *same[:place]]
        return previous[max(0, len(previous) - before) :], [*same[place + 1 :], *rest][:after]

    async def count_by_severity(self, request: LogsRequest) -> Mapping[str, int]:
        """Return how many lines a request selects, by the level that they have or that their text names."""
        known = await self._known(request, is_level_needed=True)
        start, end = _bounds(request.window)
        period = f"[{max(1, (end - start) // 1_000_000)}ms]"
        counts: dict[str, int] = {}
        for query in log_queries(request, known):
            if known.has_levels:
                by = ", ".join(LEVEL)
                for labels, count in await self._counts(
                    f"sum by ({by}) (count_over_time({query}\n{period}))", end
                ):
                    severity = severity_of_line(labels, "")
                    name = str(severity) if severity else "unknown"
                    counts[name] = counts.get(name, 0) + count
                continue
            stages = {str(one): severity_stages(one, has_levels=False) for one in Severity}
            stages["unknown"] = unknown_severity_stages()
            for name, more in stages.items():
                filtered = "\n".join([query, *more, period])
                for _, count in await self._counts(f"sum(count_over_time({filtered}))", end):
                    counts[name] = counts.get(name, 0) + count
        return counts

    # ---------------------------------------------------------------- metrics

    async def query_range(self, request: MetricsRequest) -> SeriesResult:
        """Return the series of a metric query, such as `sum by (app) (rate({app=~".+"}[5m]))`."""
        start, end = _bounds(request.window)
        params = {
            "query": request.query,
            "start": str(start),
            "end": str(end - 1),
            "step": f"{request.step_seconds:g}",
        }
        answer = await self._get("/query_range", params)
        with reading():
            data = object_of(answer["data"])
            if data.get("resultType") == "streams":
                raise BackendError(
                    Kind.BAD_QUERY,
                    "This LogQL selects lines: search logs with it, or count them by count_over_time or rate.",
                )
            series = [
                Series(texts_of(one["metric"]), [_point(pair) for pair in list_of(one["values"])])
                for one in map(object_of, list_of(data["result"]))
            ]
            warnings = [text_of(one) for one in list_of(answer.get("warnings"))]
            about = About(
                request.query, has_more=len(series) > request.series, warnings=warnings, cost=_cost(data)
            )
        return SeriesResult(series[: request.series], about)

    async def metric_names(self, match: str, limit: int) -> Sequence[MetricName]:
        """Return none: LogQL makes metrics of lines, and none of them has a name."""
        del match, limit
        # Asked all the same: a system that does not answer is not one without metrics.
        await self._get("/labels", {})
        return []

    async def label_names(self, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the names of the streams' labels."""
        del metric
        return sorted(await self._names(window))[:limit]

    async def label_values(self, label: str, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the values of a label of streams."""
        del metric
        return sorted(await self._values(name_of(label), window))[:limit]

    # ---------------------------------------------------------------- both

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        """Return the values of the label that has the services' names."""
        names = await self._names(window)
        label = next((name for name in SERVICE if name in names), None)
        if label is None:
            return []
        values = await self._values(label, window)
        return sorted({value.rpartition("/")[2] if label == "job" else value for value in values})[:limit]

    async def health(self) -> HealthReport:
        """Return whether labels can be listed, which needs the credentials and the tenant, and Loki's version."""
        try:
            await self._get("/labels", {})
        except BackendError as error:
            return report_of(error)
        try:
            build = await self._get("/status/buildinfo", {})
        except BackendError:  # gateways hide it
            return HealthReport(Health.HEALTHY)
        return HealthReport(Health.HEALTHY, version=str(build.get("version", ""))[:40])

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    async def _get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        reply = await self._upstream.request("GET", _PREFIX + path, params=params, headers=_CATEGORIZED)
        if not reply.is_success:
            raise error_of(reply)
        with reading():
            return object_of(reply.json())

    async def _names(self, window: Window) -> frozenset[str]:
        start, end = _bounds(window)
        answer = await self._get("/labels", {"start": str(start), "end": str(end)})
        with reading():
            return frozenset(text_of(one) for one in list_of(answer.get("data")))

    async def _values(self, label: str, window: Window) -> frozenset[str]:
        start, end = _bounds(window)
        answer = await self._get(f"/label/{label}/values", {"start": str(start), "end": str(end)})
        with reading():
            return frozenset(text_of(one) for one in list_of(answer.get("data")))

    async def _known(self, request: LogsRequest, *, is_level_needed: bool = False) -> Known:
        """Return what a request's queries depend on."""
        names = await self._names(request.window)
        looked_up = doubtful(request, names)
        values = await asyncio.gather(*(self._values(name, request.window) for name in looked_up))
        known = Known(names, dict(zip(looked_up, values, strict=True)))
        if request.severity is None and not is_level_needed:
            return known
        # The newest line of these streams shows whether lines have levels here.
        plain = LogsRequest(
            request.window, service=request.service, namespace=request.namespace, pod=request.pod
        )
        start, end = _bounds(request.window)
        newest = (await self._lines(log_queries(plain, known)[0], start, end, 1, names)).lines
        has_levels = not newest or any(name in newest[0].labels for name in LEVEL)
        return Known(names, known.values, has_levels)

    async def _lines(
        self, query: str, start: int, end: int, limit: int, names: frozenset[str], direction: str = "backward"
    ) -> _Answer:
        params = {
            "query": query,
            "start": str(start),
            "end": str(end),
            "limit": str(limit),
            "direction": direction,
        }
        answer = await self._get("/query_range", params)
        with reading():
            data = object_of(answer["data"])
            if data.get("resultType") != "streams":
                raise BackendError(
                    Kind.BAD_QUERY,
                    "This LogQL makes a metric: query metrics with it, or give a selector of lines.",
                )
            is_categorized = "categorize-labels" in list_of(data.get("encodingFlags"))
            lines = [
                line
                for stream in map(object_of, list_of(data["result"]))
                for line in lines_of(stream, None if is_categorized else names)
            ]
            ordered = sorted(lines, key=lambda line: line.time_ns, reverse=direction == "backward")
            return _Answer(ordered, [text_of(one) for one in list_of(answer.get("warnings"))], _cost(data))

    async def _counts(self, query: str, end: int) -> list[tuple[dict[str, str], int]]:
        answer = await self._get("/query", {"query": query, "time": str(end - 1)})
        with reading():
            result = list_of(object_of(answer["data"])["result"])
            return [(texts_of(one["metric"]), int(float(one["value"][1]))) for one in map(object_of, result)]


def _notes(queries: Sequence[str], known: Known) -> Sequence[str]:
    label = any_label(known)
    if label == SERVICE[0] or not queries[0].startswith(f'{{{label}=~".+"}}'):
        return ()
    return (
        f"Only streams with a label {label} were searched: name a service, a namespace, a pod or a label.",
    )


def _labels_of(stream: str) -> dict[str, str]:
    try:
        return texts_of(orjson.loads(stream))
    except (orjson.JSONDecodeError, TypeError):
        raise BackendError(Kind.BAD_QUERY, "The line is not one of this connection's.") from None


def _point(pair: Any) -> Point:
    value = float(pair[1])
    return float(pair[0]), value if math.isfinite(value) else None


def _cost(data: Mapping[str, Any]) -> Cost | None:
    stats = data.get("stats")
    summary = stats.get("summary") if isinstance(stats, dict) else None
    if not isinstance(summary, dict):
        return None
    seconds = summary.get("execTime")
    return Cost(
        number_of(summary.get("totalLinesProcessed")),
        number_of(summary.get("totalBytesProcessed")),
        seconds * 1_000 if isinstance(seconds, (int, float)) else None,
    )


def _sum(costs: Iterable[Cost | None]) -> Cost | None:
    known = [cost for cost in costs if cost is not None]
    if not known:
        return None
    return Cost(
        sum(cost.rows or 0 for cost in known),
        sum(cost.bytes or 0 for cost in known),
        max(cost.milliseconds or 0.0 for cost in known),
    )


def _bounds(window: Window) -> tuple[int, int]:
    return nanoseconds(window.start), nanoseconds(window.end)


BACKEND: Final = Backend(
    "loki", "Grafana Loki", Loki.signals, LokiConfig, Loki, only_named=frozenset({Signal.METRICS})
)
BACKENDS: Final = (BACKEND,)
