"""Prometheus and VictoriaMetrics: metrics by the HTTP API that both have.

A query over a period is asked with as wide a step as keeps it within the points that the system allows, and with a
`timeout`, so that it stops there too. Series beyond those asked for are left out and told. Prometheus' queries are
checked against its grammar first; VictoriaMetrics' language has more than PromQL, so its queries are checked by itself.
Interfaces: https://prometheus.io/docs/prometheus/latest/querying/api/ and
https://docs.victoriametrics.com/victoriametrics/url-examples/
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import quote

from pydantic import Field

from connectors.addresses import Policy
from connectors.backend import Backend, Config, HttpConfig
from connectors.contract import (
    About,
    BackendError,
    Cost,
    Health,
    HealthReport,
    Kind,
    MetricName,
    MetricsRequest,
    Point,
    Series,
    SeriesResult,
    Signal,
    Window,
)
from connectors.metric_families import PARTS, Described, families
from connectors.promql_grammar import check, check_size
from connectors.quoting import literal, quoted
from connectors.replies import error_of as error_of_status
from connectors.replies import list_of, number_of, object_of, reading, report_of, text_of
from connectors.upstream import Reply, Target, Upstream

MAX_POINTS: Final = 11_000
"""Of a series, in Prometheus (web/api/v1)."""
MAX_POINTS_VICTORIA: Final = 30_000
"""Of a series, in VictoriaMetrics (-search.maxPointsPerTimeseries)."""
SLOW_SECONDS: Final = 3.0
"""A system that takes longer for `vector(1)` is degraded."""
SKEW_SECONDS: Final = 60.0
"""A system whose clock is further from ours is degraded: the newest minutes are not where they are looked for."""
STALE_SECONDS: Final = 900.0
"""A system that scraped its targets last longer ago than this is degraded."""
SERVICE_LABELS: Final = ("service", "service_name", "job")
_LONGEST_GET: Final = 1_500
"""A longer query is sent as a form: proxies bound the length of a URL."""
_READ_AT_ONCE: Final = 256 << 10
"""Bytes of an answer that take some milliseconds to read; a larger one is read beside the event loop."""
_AGE: Final = "time() - max(max_over_time(timestamp(up)[1h:5m]))"
_SHORT: Final = 1_000
_BAD_QUERY = "The system does not accept the query: detail has its own words."
_KINDS: Final[Mapping[str, tuple[Kind, str]]] = {
    "bad_data": (Kind.BAD_QUERY, _BAD_QUERY),
    "execution": (Kind.BAD_QUERY, "The system cannot execute the query: detail has its own words."),
    "400": (Kind.BAD_QUERY, _BAD_QUERY),
    "422": (Kind.BAD_QUERY, "The system cannot execute the query: detail has its own words."),
    "timeout": (
        Kind.TIMEOUT,
        "The system stopped the query at the time limit: ask for a shorter period or less.",
    ),
    "canceled": (Kind.TIMEOUT, "The system stopped the query: ask for a shorter period or less."),
    "not_found": (Kind.NOT_FOUND, "The system has nothing there: check the name and the connection's url."),
}
"""Kinds by errorType; VictoriaMetrics writes the status there."""
_TIMED_OUT: Final = ("timeout exceeded", "timed out", "deadline exceeded")
_TOO_MANY: Final = (
    "too many samples",
    "cannot exceed -search.max",
    "-search.maxsamples",
    "-search.maxunique",
)


class QueryLimits(Config):
    """What one query may ask for."""

    max_samples: int | None = Field(default=None, gt=0, description="Points of all series of an answer.")
    max_time_range_hours: float | None = Field(default=None, gt=0, description="The longest period.")


class PrometheusConfig(HttpConfig):
    """How Prometheus is asked, and what has its interface: Thanos, Mimir, Cortex."""

    query_limits: QueryLimits = QueryLimits()


class VictoriaMetricsConfig(PrometheusConfig):
    """How VictoriaMetrics is asked. `url` is the single node's, or vmselect's with `tenant`."""

    tenant: str = Field(
        default="",
        pattern=r"^(\d+(:\d+)?|multitenant)?$",
        description="A cluster's tenant, accountID or accountID:projectID; empty for a single node.",
    )

    def target(self) -> Target:
        """Return where requests are sent: below the tenant's path in a cluster."""
        if not self.tenant:
            return super().target()
        single = self.model_copy(update={"tenant": ""})
        return replace(
            super(VictoriaMetricsConfig, single).target(),
            url=f"{self.url.rstrip('/')}/select/{self.tenant}/prometheus",
        )


class Prometheus:
    """The adapter of Prometheus, and of what has its interface."""

    backend_type = "prometheus"
    signals = frozenset({Signal.METRICS})
    language = "promql"
    _max_points = MAX_POINTS
    _more: Mapping[str, str] = {"stats": "true"}
    """Parameters of every query: Prometheus then says how many samples it read."""

    def __init__(self, config: PrometheusConfig, policy: Policy) -> None:
        self._upstream = Upstream(config.target(), policy)
        self._limits = config.query_limits

    async def health(self) -> HealthReport:
        """Return whether a query is answered, in good time, by a system with our time."""
        started = time.monotonic()
        try:
            version, reply, age = await _both(
                self._version(), self._reply("/api/v1/query", {"query": "vector(1)"}), self._age()
            )
            answer = _answer(reply)
            with reading():
                list_of(object_of(answer["data"])["result"])
        except BackendError as error:
            return report_of(error)
        reasons = []
        if (seconds := time.monotonic() - started) > SLOW_SECONDS:
            reasons.append(f"It took {seconds:.1f} seconds to answer `vector(1)`.")
        if abs(skew := _skew(reply)) > SKEW_SECONDS:
            reasons.append(
                f"Its clock is {abs(skew):,.0f} seconds {'ahead of' if skew > 0 else 'behind'} ours."
            )
        if age is not None and age > STALE_SECONDS:
            reasons.append(f"No target was scraped for {age / 60:,.0f} minutes.")
        if _texts(answer, "warnings"):
            reasons.append("It answers with warnings, as a system does of which a part is away.")
        return HealthReport(Health.DEGRADED if reasons else Health.HEALTHY, " ".join(reasons), version)

    async def query_range(self, request: MetricsRequest) -> SeriesResult:
        """Return the series that a query yields: at most `series`, and at most the samples that the limits allow."""
        self._check(request)
        step, notes = self._step(request)
        start = request.window.start.timestamp()
        # The window is without its end, and the interface's range is with it.
        last = start + max(0, math.ceil(request.window.seconds / step - 1e-9) - 1) * step
        params = {
            "query": request.query,
            "start": _number(start),
            "end": _number(last),
            "step": _number(step),
            "timeout": f"{_number(self._upstream.timeout_seconds)}s",
            **self._more,
        }
        try:
            reply = await self._reply("/api/v1/query_range", params)
        except BackendError as error:
            raise _with_remedy(error) from None
        if len(reply.body) > _READ_AT_ONCE:
            return await asyncio.to_thread(_result, reply, request, self._limits.max_samples, notes)
        return _result(reply, request, self._limits.max_samples, notes)

    async def metric_names(self, match: str, limit: int) -> Sequence[MetricName]:
        """Return metrics; a histogram is one. Types and help are the system's where it has them, else the names'."""
        params = {"limit": str(limit * len(PARTS) + len(PARTS))}
        if match:
            params["match[]"] = f"{{__name__=~{quoted(f'.*{literal(match)}.*')}}}"
        names, described = await _both(self._names("/api/v1/label/__name__/values", params), self._metadata())
        return families(names, described, match)[:limit]

    async def label_names(self, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the names of a metric's labels, by name, without `__name__`, which all have."""
        params = {**_within(window), **_of(metric), "limit": str(limit + 1)}
        return [name for name in await self._names("/api/v1/labels", params) if name != "__name__"][:limit]

    async def label_values(self, label: str, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the values of a label, by name."""
        params = {**_within(window), **_of(metric), "limit": str(limit)}
        return (await self._names(f"/api/v1/label/{quote(label, safe='')}/values", params))[:limit]

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        """Return the values of the labels by which services are told apart: SERVICE_LABELS."""
        found = await _both(*(self.label_values(label, "", window, limit) for label in SERVICE_LABELS))
        return sorted({name for names in found for name in names if name})[:limit]

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    def _check(self, request: MetricsRequest) -> None:
        hours = self._limits.max_time_range_hours
        if hours is not None and request.window.seconds > hours * 3600:
            raise BackendError(
                Kind.BAD_QUERY,
                f"The period is {request.window.seconds / 3600:,.1f} hours long, and this connection allows {hours:g}"
                " (query_limits.max_time_range_hours): ask for a part of it.",
            )
        if request.window.seconds <= 0:
            raise BackendError(Kind.BAD_QUERY, "The period ends before it begins.")
        self._check_query(request.query)

    def _check_query(self, query: str) -> None:
        check(query)

    def _step(self, request: MetricsRequest) -> tuple[float, list[str]]:
        """Return the step that is asked for, and a note where it is wider than the request's."""
        most = min(self._max_points, self._limits.max_samples or self._max_points)
        wanted = max(request.step_seconds, 0.001)
        narrowest = request.window.seconds / most
        if wanted >= narrowest:
            return wanted, []
        # Whole multiples of the step that was wanted keep the points where they would have been.
        step = math.ceil(narrowest / wanted - 1e-9) * wanted
        return step, [
            f"A point each {step:g} seconds instead of {wanted:g}: a series has at most {most:,} points of a period."
        ]

    async def _age(self) -> float | None:
        """Return how many seconds ago a target was last scraped, by the system's own clock; None where it scrapes none.

        It is not known of what happened more than an hour ago either.
        """
        try:
            answer = _answer(await self._reply("/api/v1/query", {"query": _AGE}))
            with reading():
                result = list_of(object_of(answer["data"])["result"])
                return float(result[0]["value"][1]) if result else None
        except BackendError:  # whether the system answers is the other question
            return None

    async def _version(self) -> str:
        """Return the system's version, empty where it does not say."""
        reply = await self._reply("/api/v1/status/buildinfo", {})
        if not reply.is_success:
            return ""
        answer = _answer(reply)
        with reading():
            return str(object_of(answer.get("data") or {}).get("version", ""))[:100]

    async def _metadata(self) -> dict[str, Described]:
        """Return what the system says of its metrics; nothing where it has no such question."""
        reply = await self._reply("/api/v1/metadata", {})
        if not reply.is_success and _error(reply).kind == Kind.NOT_FOUND:
            return {}
        answer = _answer(reply)
        found = {}
        with reading():
            for name, rows in object_of(answer["data"]).items():
                for row in list_of(rows)[:1]:
                    said = object_of(row)
                    found[name] = Described(
                        text_of(said.get("type", "")),
                        text_of(said.get("unit", "")),
                        text_of(said.get("help", "")),
                    )
        return found

    async def _names(self, path: str, params: Mapping[str, str]) -> list[str]:
        """Return a list of names, by name."""
        answer = _answer(await self._reply(path, params))
        with reading():
            return sorted({text_of(name) for name in list_of(answer["data"])})

    async def _reply(self, path: str, params: Mapping[str, str]) -> Reply:
        if len(params.get("query", "")) > _LONGEST_GET:
            return await self._upstream.request("POST", path, form=params)
        return await self._upstream.request("GET", path, params=params)


class VictoriaMetrics(Prometheus):
    """The adapter of VictoriaMetrics, a single node or a cluster."""

    backend_type = "victoriametrics"
    _max_points = MAX_POINTS_VICTORIA
    _more: Mapping[str, str] = {"nocache": "1"}
    """Its cache would move a range's start and end to multiples of the step."""

    def _check_query(self, query: str) -> None:
        check_size(query)


def _answer(reply: Reply) -> dict[str, Any]:
    """Return the object of a successful answer. Raises BackendError for any other."""
    if not reply.is_success:
        raise _error(reply)
    answer = reply.json()
    if isinstance(answer, dict) and answer.get("status") == "error":
        raise _error(reply)
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise BackendError(
            Kind.MALFORMED,
            "The answer is JSON of another kind than Prometheus': check that the connection's url leads to it.",
            status=reply.status,
        )
    return answer


def _error(reply: Reply) -> BackendError:
    """Return the error that an answer reports: Prometheus' JSON, or whatever a proxy in front of it says."""
    try:
        body = reply.json()
    except BackendError:
        body = None
    if not isinstance(body, dict) or body.get("status") != "error":
        if "unsupported path" in reply.text():  # VictoriaMetrics, with status 400
            return BackendError(
                Kind.NOT_FOUND,
                "The system has no such path: check the connection's url and tenant.",
                status=reply.status,
            )
        error = error_of_status(reply)
        # Without Prometheus' own error, a refusal says nothing of the query.
        return replace(error, kind=Kind.FAILED) if error.kind == Kind.BAD_QUERY else error
    said = str(body.get("error", ""))[:_SHORT]
    low = said.lower()
    kind, message = _KINDS.get(
        str(body.get("errorType", "")),
        (Kind.FAILED, f"The system failed (status {reply.status}): detail has its own words."),
    )
    if any(words in low for words in _TIMED_OUT):
        kind, message = _KINDS["timeout"]
    elif any(words in low for words in _TOO_MANY):
        kind, message = Kind.TOO_LARGE, _REMEDY
    return BackendError(kind, message, detail=said, status=reply.status)


_HISTOGRAMS: Final = (
    "Some series are native histograms, whose points have no single value: ask with histogram_quantile or"
    " histogram_count."
)
_REMEDY: Final = (
    "The query reads or returns more than is allowed: ask for a shorter period, name more labels, or aggregate, as in"
    " sum by (label) (...) or topk(10, ...)."
)


def _with_remedy(error: BackendError) -> BackendError:
    return (
        replace(error, message=f"{error.message} {_REMEDY}")
        if error.kind == Kind.TOO_LARGE and not error.detail
        else error
    )


def _result(
    reply: Reply, request: MetricsRequest, max_samples: int | None, notes: Sequence[str]
) -> SeriesResult:
    answer = _answer(reply)
    with reading():
        return _read(answer, request, max_samples, notes)


def _read(
    answer: Mapping[str, Any], request: MetricsRequest, max_samples: int | None, notes: Sequence[str]
) -> SeriesResult:
    data = object_of(answer["data"])
    if (kind := data.get("resultType")) != "matrix":
        raise TypeError(type(kind).__name__)
    start, end = request.window.start.timestamp(), request.window.end.timestamp()
    rows = list_of(data["result"])
    series: list[Series] = []
    samples = 0
    histograms = False
    for row in rows[: request.series]:
        points = _points(row, start, end)
        samples += len(points)
        if max_samples is not None and samples > max_samples:
            break
        if "histograms" in row and not points:
            histograms = True
        labels = {text_of(name): text_of(value) for name, value in object_of(row["metric"]).items()}
        series.append(Series(labels, points))
    about = About(
        query_executed=request.query,
        has_more=len(series) < len(rows),
        total_count=len(rows),
        is_partial=answer.get("isPartial") is True,
        warnings=[*_texts(answer, "warnings"), *_texts(answer, "infos")],
        notes=[*notes, *([_HISTOGRAMS] if histograms else ())],
        cost=_cost(answer),
    )
    return SeriesResult(series, about)


def _points(row: Mapping[str, Any], start: float, end: float) -> list[Point]:
    isfinite = math.isfinite
    return [
        (float(moment), value if isfinite(value := float(text)) else None)
        for moment, text in list_of(row.get("values"))
        if start <= moment < end
    ]


def _cost(answer: Mapping[str, Any]) -> Cost | None:
    """Return what a query cost: samples read in Prometheus, series fetched in VictoriaMetrics."""
    stats = answer.get("stats")  # VictoriaMetrics
    if isinstance(stats, dict):
        milliseconds = number_of(stats.get("executionTimeMsec"))
        return Cost(number_of(stats.get("seriesFetched")), milliseconds=milliseconds)
    stats = object_of(answer["data"]).get("stats")
    if not isinstance(stats, dict):
        return None
    samples, timings = stats.get("samples"), stats.get("timings")
    rows = number_of(samples.get("totalQueryableSamples")) if isinstance(samples, dict) else None
    seconds = timings.get("execTotalTime") if isinstance(timings, dict) else None
    return Cost(rows, milliseconds=seconds * 1e3 if isinstance(seconds, float | int) else None)


def _texts(answer: Mapping[str, Any], name: str) -> list[str]:
    found = answer.get(name)
    return [str(one)[:_SHORT] for one in found[:10]] if isinstance(found, list) else []


def _skew(reply: Reply) -> float:
    """Return the seconds by which the system's clock is ahead, as the answer's Date has it; 0 without one."""
    try:
        return (
            parsedate_to_datetime(reply.headers.get("date", "")).timestamp() - datetime.now(UTC).timestamp()
        )
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _within(window: Window) -> dict[str, str]:
    return {"start": _number(window.start.timestamp()), "end": _number(window.end.timestamp())}


def _of(metric: str) -> dict[str, str]:
    """Return the parameter that selects a metric's series, those of a histogram among them; none for all metrics."""
    if not metric:
        return {}
    escaped = literal(metric)
    names = "|".join([escaped, *(f"{escaped}{part}" for part in PARTS)])
    return {"match[]": f"{{__name__=~{quoted(names)}}}"}


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


async def _both(*asking: Awaitable[Any]) -> list[Any]:
    """Return all answers; when one fails, the others are not waited for."""
    tasks = [asyncio.ensure_future(one) for one in asking]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


PROMETHEUS: Final = Backend(
    "prometheus", "Prometheus", frozenset({Signal.METRICS}), PrometheusConfig, Prometheus
)
VICTORIAMETRICS: Final = Backend(
    "victoriametrics", "VictoriaMetrics", frozenset({Signal.METRICS}), VictoriaMetricsConfig, VictoriaMetrics
)
BACKENDS: Final = (PROMETHEUS, VICTORIAMETRICS)
