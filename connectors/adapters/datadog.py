"""Datadog: metrics by its query language, logs and spans by search.

The field names are those of Datadog's published clients. Metrics answer errors with status 200 and `error`. A trace is
put together from its spans by search, so one of more than ten thousand is not whole.
https://docs.datadoghq.com/api/latest/
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import Field, SecretStr

from connectors.adapters.datadog_rows import (
    PAGE,
    SEVERITY_OF,
    about_of,
    as_dict,
    as_list,
    cursor_of,
    line_of,
    logs_query,
    page_of,
    path_of,
    period_of,
    quoted,
    series_of,
    span_of,
    spans_query,
    trace_of,
)
from connectors.addresses import Policy
from connectors.backend import Backend, Config
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
    SeriesResult,
    Signal,
    Span,
    Trace,
    TracesRequest,
    TracesResult,
    Window,
)
from connectors.upstream import MAX_BYTES, TIMEOUT_SECONDS, Reply, Target, Upstream

_PAGES: Final = 10
_TYPES: Final = {"gauge": "gauge", "count": "counter", "rate": "gauge", "distribution": "histogram"}
_DAYS: Final = timedelta(days=15)
"""For how long Datadog keeps spans."""


class DatadogConfig(Config):
    """An organisation at one of Datadog's sites."""

    site: str = Field(
        default="datadoghq.com",
        pattern=r"^[a-z0-9.-]{1,64}$",
        description="Such as datadoghq.eu or us5.datadoghq.com.",
    )
    api_key: SecretStr
    app_key: SecretStr
    url: str = Field(default="", description="Another address than https://api.<site>, as of a proxy.")
    timeout_seconds: float = Field(default=TIMEOUT_SECONDS, gt=0, le=600)
    max_response_bytes: int = Field(default=MAX_BYTES, ge=1024, le=1 << 30)


class Datadog:
    """One organisation."""

    backend_type = "datadog"
    signals = frozenset({Signal.METRICS, Signal.LOGS, Signal.TRACES})
    language = "datadog"

    def __init__(self, config: DatadogConfig, policy: Policy) -> None:
        self._upstream = Upstream(
            Target(
                config.url or f"https://api.{config.site}",
                {
                    "DD-API-KEY": config.api_key.get_secret_value(),
                    "DD-APPLICATION-KEY": config.app_key.get_secret_value(),
                },
                config.timeout_seconds,
                config.max_response_bytes,
            ),
            policy,
        )

    # ------------------------------------------------------------ metrics

    async def query_range(self, request: MetricsRequest) -> SeriesResult:
        """Return the series of a query; Datadog chooses the step, unless the query has a rollup."""
        found = await self._get(
            "/api/v1/query",
            {
                "query": request.query,
                "from": int(request.window.start.timestamp()),
                "to": int(request.window.end.timestamp()),
            },
        )
        if found.get("status") == "error" or found.get("error"):
            raise BackendError(
                Kind.BAD_QUERY,
                "Datadog does not accept the query.",
                detail=str(found.get("error") or "")[:1_000],
            )
        series = [series_of(one) for one in as_list(found.get("series"))]
        about = About(
            query_executed=str(found.get("query") or request.query),
            has_more=len(series) > request.series,
            warnings=(str(found["message"]),) if found.get("message") else (),
        )
        return SeriesResult(series[: request.series], about)

    async def metric_names(self, match: str, limit: int) -> Sequence[MetricName]:
        """Return metrics that were reported within the last day, with the type and unit of up to ten."""
        since = int((datetime.now(UTC) - timedelta(days=1)).timestamp())
        found = await self._get("/api/v1/metrics", {"from": since})
        names = sorted(
            name for name in map(str, as_list(found.get("metrics"))) if match.casefold() in name.casefold()
        )
        names = names[:limit]
        if len(names) > _PAGES:
            return [MetricName(name) for name in names]
        return [await self._described(name) for name in names]

    async def label_names(self, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the names of a metric's tags."""
        return sorted({name for name, _ in await self._tags(metric, window)})[:limit]

    async def label_values(self, label: str, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the values of a metric's tag."""
        return sorted({value for name, value in await self._tags(metric, window) if name == label})[:limit]

    # --------------------------------------------------------------- logs

    async def search(self, request: LogsRequest) -> LogsResult:
        """Return the lines that a request selects. A regular expression is not searched for by Datadog."""
        if request.regex:
            raise BackendError(
                Kind.UNSUPPORTED,
                "Datadog searches no regular expressions: pass text, in which * stands for any letters.",
            )
        query = request.query or logs_query(request)
        body = {
            "filter": {"query": query, **period_of(request.window)},
            "sort": "-timestamp",
            "page": page_of(request.limit, request.cursor),
        }
        found = await self._post("/api/v2/logs/events/search", body)
        lines = [line_of(one) for one in as_list(found.get("data"))]
        return LogsResult(lines, about_of(found, query))

    async def context(
        self, line: LogLine, before: int, after: int
    ) -> tuple[Sequence[LogLine], Sequence[LogLine]]:
        """Return the lines of the same service and host around one."""

        async def read(count: int, *, forward: bool) -> list[LogLine]:
            if not count:
                return []
            moment = datetime.fromtimestamp(line.time_ns / 1e9, UTC)
            window = (
                Window(moment, moment + timedelta(hours=1))
                if forward
                else Window(moment - timedelta(hours=1), moment)
            )
            body = {
                "filter": {"query": line.stream or "*", **period_of(window)},
                "sort": "timestamp" if forward else "-timestamp",
                "page": {"limit": count + 1},
            }
            found = await self._post("/api/v2/logs/events/search", body)
            lines = [one for one in map(line_of, as_list(found.get("data"))) if one.id != line.id][:count]
            return lines if forward else lines[::-1]

        return await read(before, forward=False), await read(after, forward=True)

    async def count_by_severity(self, request: LogsRequest) -> Mapping[str, int]:
        """Return the numbers of lines by status."""
        if request.regex:
            raise BackendError(Kind.UNSUPPORTED, "Datadog searches no regular expressions.")
        body = {
            "filter": {"query": request.query or logs_query(request), **period_of(request.window)},
            "compute": [{"aggregation": "count", "type": "total"}],
            "group_by": [{"facet": "status", "limit": 20}],
        }
        found = await self._post("/api/v2/logs/analytics/aggregate", body)
        counts: dict[str, int] = defaultdict(int)
        for bucket in as_list(as_dict(found.get("data")).get("buckets")):
            severity = SEVERITY_OF.get(str(as_dict(bucket.get("by")).get("status", "")).casefold())
            counts[severity.value if severity else "unknown"] += int(
                as_dict(bucket.get("computes")).get("c0") or 0
            )
        return dict(counts)

    # ------------------------------------------------------------- traces

    async def trace(self, trace_id: str, window: Window | None) -> Trace:
        """Return a trace from its spans; without a window, of the last days that Datadog keeps."""
        now = datetime.now(UTC)
        within = window or Window(now - _DAYS, now)
        spans: list[Span] = []
        # Datadog writes ids as decimals of 64 bits, or as 32 hexadecimal digits.
        short = str(int(trace_id[-16:], 16))
        query = f"trace_id:({quoted(trace_id)} OR {quoted(short)})"
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await self._page_of_spans(query, within, PAGE, cursor)
            spans += map(span_of, as_list(page.get("data")))
            cursor = cursor_of(page)
            if cursor is None:
                break
        if not spans:
            raise BackendError(Kind.NOT_FOUND, "Datadog has no spans of this trace in the period.")
        return trace_of(spans[0].trace_id, spans, is_whole=cursor is None)

    async def find(self, request: TracesRequest) -> TracesResult:
        """Return traces with a span that a request selects, with those spans."""
        query = spans_query(request)
        found: dict[str, list[Span]] = {}
        about, cursor = About(query), request.cursor
        for _ in range(_PAGES):
            # Each span is of one trace more at most, so that the cursor is behind what is returned.
            page = await self._page_of_spans(query, request.window, request.limit - len(found), cursor)
            about, cursor = about_of(page, query), cursor_of(page)
            for span in map(span_of, as_list(page.get("data"))):
                found.setdefault(span.trace_id, []).append(span)
            if len(found) >= request.limit or cursor is None:
                break
        traces = [trace_of(trace_id, spans, is_whole=False) for trace_id, spans in found.items()]
        return TracesResult(sorted(traces, key=lambda trace: -trace.start_ns), about)

    async def operations(self, service: str, window: Window, limit: int) -> Sequence[str]:
        """Return the names of a service's spans."""
        return await self._facets("resource_name", f"service:{quoted(service)}", window, limit)

    # -------------------------------------------------------------- all

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        """Return the services that sent spans."""
        return await self._facets("service", "*", window, limit)

    async def health(self) -> HealthReport:
        """Return whether the key is valid."""
        try:
            found = await self._get("/api/v1/validate", {})
        except BackendError as error:
            return HealthReport(Health.UNHEALTHY, error.message)
        if found.get("valid") is not True:
            return HealthReport(
                Health.UNHEALTHY, "Datadog says that the key is not valid: check api_key and site."
            )
        return HealthReport(Health.HEALTHY)

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    async def _described(self, name: str) -> MetricName:
        try:
            found = await self._get(f"/api/v1/metrics/{path_of(name)}", {})
        except BackendError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            # Nothing is written of it; it is listed all the same.
            return MetricName(name)
        return MetricName(
            name,
            _TYPES.get(str(found.get("type")), "unknown"),
            str(found.get("unit") or ""),
            str(found.get("description") or ""),
        )

    async def _tags(self, metric: str, window: Window) -> list[tuple[str, str]]:
        if not metric:
            found = await self._get("/api/v1/tags/hosts", {})
            tags = as_dict(found.get("tags"))
            hosts = {f"host:{host}" for listed in tags.values() for host in as_list(listed)}
            texts: list[str] = [str(tag) for tag in tags] + sorted(hosts)
        else:
            del window  # Datadog's own: the tags of the last hour
            found = await self._get(f"/api/v2/metrics/{path_of(metric)}/all-tags", {})
            texts = [
                str(tag) for tag in as_list(as_dict(as_dict(found.get("data")).get("attributes")).get("tags"))
            ]
        return [(name, value) for name, colon, value in (text.partition(":") for text in texts) if colon]

    async def _facets(self, facet: str, query: str, window: Window, limit: int) -> list[str]:
        attributes = {
            "filter": {"query": query, **period_of(window)},
            "compute": [{"aggregation": "count", "type": "total"}],
            "group_by": [{"facet": facet, "limit": min(limit, PAGE)}],
        }
        found = await self._post(
            "/api/v2/spans/analytics/aggregate",
            {"data": {"type": "aggregate_request", "attributes": attributes}},
        )
        buckets = [as_dict(as_dict(one).get("attributes")) for one in as_list(found.get("data"))]
        values = {str(value) for one in buckets if (value := as_dict(one.get("by")).get(facet))}
        return sorted(values)[:limit]

    async def _page_of_spans(
        self, query: str, window: Window, limit: int, cursor: str | None
    ) -> Mapping[str, Any]:
        attributes = {
            "filter": {"query": query, **period_of(window)},
            "sort": "-timestamp",
            "page": page_of(limit, cursor),
        }
        return await self._post(
            "/api/v2/spans/events/search", {"data": {"type": "search_request", "attributes": attributes}}
        )

    async def _get(self, path: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        return _checked(await self._upstream.request("GET", path, params=params))

    async def _post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return _checked(await self._upstream.request("POST", path, json=body))


def _checked(reply: Reply) -> Mapping[str, Any]:
    """Return an answer's fields. Raises BackendError by its status and `errors`."""
    if not reply.is_success:
        raise _refused(reply)
    found = reply.json()
    if not isinstance(found, dict):
        raise BackendError(
            Kind.MALFORMED, "Datadog's answer is not an object: check site and url.", status=reply.status
        )
    return found


def _refused(reply: Reply) -> BackendError:
    """Return the error of a status, with Datadog's words where it has some."""
    try:
        detail = "; ".join(map(str, as_list(as_dict(reply.json()).get("errors"))))[:1_000]
    except BackendError:
        detail = ""
    kind = {400: Kind.BAD_QUERY, 404: Kind.NOT_FOUND, 422: Kind.BAD_QUERY}.get(reply.status, Kind.FAILED)
    message = {
        Kind.BAD_QUERY: "Datadog does not accept the query.",
        Kind.NOT_FOUND: "Datadog has no such thing: check the metric's name, and the site.",
        Kind.FAILED: f"Datadog reports an error of its own (status {reply.status}).",
    }[kind]
    return BackendError(kind, message, detail, reply.status)


BACKENDS: Final[tuple[Backend, ...]] = (
    Backend("datadog", "Datadog", Datadog.signals, DatadogConfig, Datadog),
)
