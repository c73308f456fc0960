"""Grafana Tempo: traces by id, and by TraceQL.

A search returns of each trace the spans that match, in no order, and ends when it has as many as were asked for: which
ones is up to Tempo, so that there is no cursor. Traces are asked for by version 2 of the interface, which says when a
trace is partial, and by version 1 of an older Tempo. Interface: https://grafana.com/docs/tempo/latest/api_docs/
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from connectors.addresses import Policy
from connectors.backend import Backend, HttpConfig
from connectors.contract import (
    About,
    BackendError,
    Cost,
    Health,
    HealthReport,
    Kind,
    Signal,
    Span,
    Trace,
    TracesRequest,
    TracesResult,
    Window,
)
from connectors.replies import error_of, list_of, number_of, object_of, reading, report_of, text_of
from connectors.spans import (
    SPAN_DIGITS,
    TRACE_DIGITS,
    attributes_of,
    newest_first,
    spans_of,
    trace_id_of,
    trace_of,
)
from connectors.traceql import of_service, search
from connectors.upstream import Upstream

_JSON: Final = {"Accept": "application/json"}
_SPANS: Final = 3
"""How many matching spans of a trace a search returns."""
_NO_ROOT: Final = "<root span not yet received>"
_PARTIAL: Final = frozenset({"PARTIAL", 1, "1"})


class TempoConfig(HttpConfig):
    """How Tempo is asked. The tenant, where there are some, is `tenant`."""


class Tempo:
    """The adapter of Tempo."""

    backend_type = "tempo"
    signals = frozenset({Signal.TRACES})

    def __init__(self, config: TempoConfig, policy: Policy) -> None:
        self._upstream = Upstream(config.target(), policy)

    async def health(self) -> HealthReport:
        """Return whether tags can be listed, which needs the credentials and the tenant, and Tempo's version."""
        try:
            answer = await self._get("/api/search/tags", {})
            with reading():
                list_of(answer.get("tagNames"))
        except BackendError as error:
            return report_of(error)
        try:
            build = await self._get("/api/status/buildinfo", {})
        except BackendError:  # gateways hide it
            return HealthReport(Health.HEALTHY)
        return HealthReport(Health.HEALTHY, version=str(build.get("version", ""))[:40])

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        """Return the services of spans."""
        return (await self._values("resource.service.name", "service.name", window))[:limit]

    async def operations(self, service: str, window: Window, limit: int) -> Sequence[str]:
        """Return the names of a service's spans; those of all services from a Tempo that does not narrow them."""
        return (await self._values("name", "name", window, of_service(service)))[:limit]

    async def trace(self, trace_id: str, window: Window | None) -> Trace:
        """Return a trace. `is_whole` is False where Tempo says that it is larger than it returns. Raises NOT_FOUND."""
        wanted = trace_id_of(trace_id)
        params = _seconds(window) if window else {}
        is_whole = True
        try:
            answer = await self._get(f"/api/v2/traces/{wanted}", params)
            with reading():
                is_whole = answer.get("status") not in _PARTIAL
                spans = _spans(object_of(answer.get("trace") or {}))
        except BackendError as error:
            if error.kind != Kind.NOT_FOUND:
                raise
            answer = await self._get(f"/api/traces/{wanted}", params)  # Tempo before 2.7 has no other
            with reading():
                spans = _spans(answer)
        if not spans:
            raise BackendError(Kind.NOT_FOUND, "Tempo has no trace of this id, or no longer.")
        return replace(trace_of(wanted, spans), is_whole=is_whole)

    async def find(self, request: TracesRequest) -> TracesResult:
        """Return of each trace the spans that match, at most three."""
        query = search(request)
        params = {
            "q": query,
            "limit": str(request.limit + 1),
            "spss": str(_SPANS),
            **_seconds(request.window),
        }
        answer = await self._get("/api/search", params)
        with reading():
            traces = newest_first(_trace(object_of(one)) for one in list_of(answer.get("traces")))
            has_more = len(traces) > request.limit
            metrics = object_of(answer.get("metrics") or {})
            cost = Cost(number_of(metrics.get("inspectedTraces")), number_of(metrics.get("inspectedBytes")))
        notes = [
            "Tempo returns any traces that match, not the newest: narrow the period or the query for the rest."
        ]
        return TracesResult(
            traces[: request.limit],
            About(query, has_more=has_more, notes=notes if has_more else (), cost=cost),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    async def _values(self, tag: str, old_tag: str, window: Window, query: str = "") -> list[str]:
        """Return the values of a tag, by version 2, which takes a query, or by version 1."""
        params = _seconds(window)
        try:
            narrowed = {**params, **({"q": query} if query else {})}
            answer = await self._get(f"/api/v2/search/tag/{tag}/values", narrowed)
        except BackendError as error:
            if error.kind != Kind.NOT_FOUND:
                raise
            answer = await self._get(f"/api/search/tag/{old_tag}/values", params)
        with reading():
            values = [
                one if isinstance(one, str) else text_of(object_of(one)["value"])
                for one in list_of(answer.get("tagValues"))
            ]
        return sorted(set(values))

    async def _get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        reply = await self._upstream.request("GET", path, params=params, headers=_JSON)
        if not reply.is_success:
            raise error_of(reply)
        with reading():
            return object_of(reply.json())


def _spans(trace: Mapping[str, Any]) -> list[Span]:
    return spans_of(list_of(trace.get("resourceSpans") or trace.get("batches")))


def _trace(one: Mapping[str, Any]) -> Trace:
    trace_id = text_of(one["traceID"]).lower().zfill(TRACE_DIGITS)
    root = text_of(one.get("rootServiceName") or "")
    # The set of an older Tempo, the sets of a newer.
    sets = list_of(one.get("spanSets") or ([one["spanSet"]] if one.get("spanSet") else []))
    by_id = {
        span.span_id: span
        for some in map(object_of, sets)
        for span in (_span(trace_id, object_of(span)) for span in list_of(some.get("spans")))
    }
    stats = object_of(one.get("serviceStats") or {})
    errors = [number_of(object_of(stat).get("errorCount")) or 0 for stat in stats.values()]
    has_error = any(errors) if stats else any(span.is_error for span in by_id.values()) or None
    # Whole milliseconds: a shorter trace has none.
    milliseconds = number_of(one.get("durationMs")) or 0
    return Trace(
        trace_id,
        tuple(sorted(by_id.values(), key=lambda span: (span.start_ns, span.span_id))),
        is_whole=False,
        root_service="" if root == _NO_ROOT else root,
        root_name=text_of(one.get("rootTraceName") or ""),
        start_ns=int(one["startTimeUnixNano"]),
        duration_ns=max(milliseconds * 1_000_000, *(span.duration_ns for span in by_id.values()), 0),
        has_error=has_error,
    )


def _span(trace_id: str, one: Mapping[str, Any]) -> Span:
    attributes = attributes_of(one.get("attributes"))
    status = attributes.pop("status", "")
    return Span(
        trace_id,
        text_of(one["spanID"]).lower().zfill(SPAN_DIGITS),
        "",
        text_of(one.get("name") or ""),
        attributes.get("service.name", ""),
        int(one["startTimeUnixNano"]),
        int(one.get("durationNanos") or 0),
        kind=attributes.pop("kind", ""),
        is_error=status == "error",
        attributes=attributes,
    )


def _seconds(window: Window) -> dict[str, str]:
    """Return a period in whole seconds, as Tempo takes it: the second in which it ends is a part of it."""
    return {
        "start": str(math.floor(window.start.timestamp())),
        "end": str(math.ceil(window.end.timestamp())),
    }


BACKEND: Final = Backend("tempo", "Grafana Tempo", Tempo.signals, TempoConfig, Tempo)
BACKENDS: Final = (BACKEND,)
