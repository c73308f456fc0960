"""Jaeger: traces by its version 3 interface, which answers in OTLP's JSON, and by the older one where that must be.

The older one is asked by systems that have no other (VictoriaTraces, Jaeger before 1.5x behind some proxies), and for
tags and errors, which version 3 over HTTP does not take. Jaeger searches in one service at a time: without a service,
the first SERVICES are asked. Durations, tags and errors hold of one span, as the contract wants. Jaeger does not know
how many traces there are; a cursor says how many were read, and the newest are asked for again together with those.
Interface: https://www.jaegertracing.io/docs/1.76/architecture/apis/
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from connectors.addresses import Policy
from connectors.backend import Backend, HttpConfig
from connectors.contract import (
    About,
    BackendError,
    Health,
    HealthReport,
    Kind,
    Signal,
    Span,
    SpanEvent,
    SpanReference,
    Trace,
    TracesRequest,
    TracesResult,
    Window,
)
from connectors.moments import nanoseconds, rfc3339
from connectors.replies import error_of, list_of, object_of, reading, report_of, text_of
from connectors.spans import (
    SPAN_DIGITS,
    TRACE_DIGITS,
    digits_of,
    newest_first,
    spans_of,
    trace_id_of,
    trace_of,
    traces_of,
)
from connectors.upstream import Reply, Upstream

SERVICES: Final = 20
"""How many services are asked for a search that names none."""
DEEPEST: Final = 1_500
"""How many of the newest traces a search reads at most, over all its pages: as many as Jaeger's own page offers."""
_NOT_FOUND: Final = 404
_TRUE: Final = frozenset({"true", "1"})


class JaegerConfig(HttpConfig):
    """How Jaeger is asked."""


class Jaeger:
    """The adapter of Jaeger."""

    backend_type = "jaeger"
    signals = frozenset({Signal.TRACES})

    def __init__(self, config: JaegerConfig, policy: Policy) -> None:
        self._upstream = Upstream(config.target(), policy)
        self._has_v3 = True
        """Until it is seen that the system has no version 3."""

    async def health(self) -> HealthReport:
        """Return whether the services can be listed."""
        try:
            await self._services()
        except BackendError as error:
            return report_of(error)
        return HealthReport(Health.HEALTHY)

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        """Return the services that Jaeger knows: it does not tell them by time."""
        del window
        return (await self._services())[:limit]

    async def operations(self, service: str, window: Window, limit: int) -> Sequence[str]:
        """Return the operations that Jaeger knows of a service: it does not tell them by time."""
        del window
        found = await self._v3("/api/v3/operations", {"service": service})
        with reading():
            if found is not None:
                names = [text_of(object_of(one)["name"]) for one in list_of(found.get("operations"))]
            else:
                path = f"/api/services/{quote(service, safe='')}/operations"
                names = [text_of(one) for one in list_of((await self._v1(path, {}))["data"])]
        return sorted(set(names))[:limit]

    async def trace(self, trace_id: str, window: Window | None) -> Trace:
        """Return a whole trace. Raises NOT_FOUND."""
        del window
        wanted = trace_id_of(trace_id)
        found = await self._v3(f"/api/v3/traces/{wanted}", {})
        with reading():
            every = (
                _spans_of_v1(await self._v1(f"/api/traces/{wanted}", {}))
                if found is None
                else _spans_of_v3(found)
            )
        spans = [span for span in every if span.trace_id == wanted]
        if not spans:
            raise BackendError(Kind.NOT_FOUND, "Jaeger has no trace of this id, or no longer.")
        return trace_of(wanted, spans)

    async def find(self, request: TracesRequest) -> TracesResult:
        """Return whole traces."""
        skipped = _skipped(request.cursor)
        depth = min(skipped + request.limit + 1, DEEPEST)
        notes = []
        names = [request.service]
        if not request.service:
            every = await self._services()
            names = every[:SERVICES]
            if len(every) > SERVICES:
                notes.append(
                    f"Jaeger searches a service at a time: the first {SERVICES} of {len(every)} were searched. Name"
                    " a service."
                )
        answers = await asyncio.gather(*(self._find(request, name, depth) for name in names))
        by_id = {trace.trace_id: trace for _, traces in answers for trace in traces}
        found = newest_first(trace for trace in by_id.values() if _holds(trace, request))
        page = found[skipped : skipped + request.limit]
        # What was filtered here counts: a full answer means that there may be more behind it.
        has_more = len(found) > skipped + len(page) or any(len(traces) >= depth for _, traces in answers)
        can_go_on = has_more and depth < DEEPEST and bool(page)
        return TracesResult(
            page,
            About(
                "\n".join(executed for executed, _ in answers),
                has_more=has_more,
                next_cursor=str(skipped + len(page)) if can_go_on else None,
                notes=notes,
            ),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    async def _services(self) -> list[str]:
        found = await self._v3("/api/v3/services", {})
        with reading():
            if found is not None:
                names = list_of(found.get("services"))
            else:
                names = list_of((await self._v1("/api/services", {}))["data"])
            return sorted({text_of(name) for name in names})

    async def _find(self, request: TracesRequest, service: str, depth: int) -> tuple[str, list[Trace]]:
        """Return the query as it was sent, and the newest traces of a service."""
        if not request.tags and request.has_error is None:
            params = _params_of_v3(request, service, depth)
            found = await self._v3("/api/v3/traces", params)
            if found is not None:
                with reading():
                    return f"/api/v3/traces?{urlencode(params)}", traces_of(_spans_of_v3(found))
        params = _params_of_v1(request, service, depth)
        answer = await self._v1("/api/traces", params)
        with reading():
            return f"/api/traces?{urlencode(params)}", traces_of(_spans_of_v1(answer))

    async def _v3(self, path: str, params: Mapping[str, str]) -> dict[str, Any] | None:
        """Return an answer of version 3, None from a system without it. Finding nothing is an empty answer."""
        if not self._has_v3:
            return None
        reply = await self._upstream.request("GET", path, params=params)
        message = _message_of_v3(reply)
        if reply.status == _NOT_FOUND and message is not None:
            return {}
        is_unknown = reply.status in {_NOT_FOUND, 405, 501}
        if is_unknown or (reply.is_success and not reply.body.lstrip().startswith(b"{")):
            self._has_v3 = False
            return None
        if not reply.is_success:
            raise error_of(reply, message)
        with reading():
            return object_of(reply.json())

    async def _v1(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        """Return an answer of the older interface. Raises NOT_FOUND and what else it says in `errors`."""
        reply = await self._upstream.request("GET", path, params=params)
        if not reply.is_success:
            raise error_of(reply, _message_of_v1(reply))
        with reading():
            answer = object_of(reply.json())
            errors = list_of(answer.get("errors"))
            # VictoriaTraces says "not found" with status 200.
            if errors and not answer.get("data"):
                said = str(object_of(errors[0]).get("msg", ""))
                is_absent = object_of(errors[0]).get("code") == _NOT_FOUND
                kind = Kind.NOT_FOUND if is_absent else Kind.FAILED
                raise BackendError(kind, "Jaeger did not find it." if is_absent else "Jaeger failed.", said)
            return answer


def _params_of_v3(request: TracesRequest, service: str, depth: int) -> dict[str, str]:
    found = {
        "query.service_name": service,
        "query.start_time_min": rfc3339(nanoseconds(request.window.start)),
        "query.start_time_max": rfc3339(nanoseconds(request.window.end) - 1),
        "query.num_traces": str(depth),
    }
    if request.operation:
        found["query.operation_name"] = request.operation
    if request.min_duration_ns is not None:
        found["query.duration_min"] = f"{request.min_duration_ns}ns"
    if request.max_duration_ns is not None:
        found["query.duration_max"] = f"{request.max_duration_ns}ns"
    return found


def _params_of_v1(request: TracesRequest, service: str, depth: int) -> dict[str, str]:
    found = {
        "service": service,
        "start": str(nanoseconds(request.window.start) // 1_000),
        "end": str(nanoseconds(request.window.end) // 1_000 - 1),
        "limit": str(depth),
    }
    tags = {**request.tags, **({"error": "true"} if request.has_error else {})}
    if tags:
        found["tags"] = orjson.dumps(tags, option=orjson.OPT_SORT_KEYS).decode()
    if request.operation:
        found["operation"] = request.operation
    if request.min_duration_ns is not None:
        found["minDuration"] = f"{request.min_duration_ns}ns"
    if request.max_duration_ns is not None:
        found["maxDuration"] = f"{request.max_duration_ns}ns"
    return found


def _holds(trace: Trace, request: TracesRequest) -> bool:
    """Whether a trace has a span without an error, where that is asked for: Jaeger has no such question."""
    if request.has_error is not False:
        return True
    return any(
        not span.is_error
        and request.service in {"", span.service}
        and request.operation in {"", span.name}
        and span.duration_ns >= (request.min_duration_ns or 0)
        and (request.max_duration_ns is None or span.duration_ns <= request.max_duration_ns)
        for span in trace.spans
    )


def _skipped(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal() or int(cursor[:9]) >= DEEPEST:
        raise BackendError(Kind.BAD_QUERY, "The cursor is not one of this connection's: ask without it.")
    return int(cursor[:9])


def _spans_of_v3(answer: Mapping[str, Any]) -> list[Span]:
    return spans_of(list_of(object_of(answer.get("result") or {}).get("resourceSpans")))


def _spans_of_v1(answer: Mapping[str, Any]) -> list[Span]:
    found = []
    for trace in list_of(answer["data"]):
        processes = object_of(trace.get("processes") or {})
        found += [_span_of_v1(object_of(one), processes) for one in list_of(object_of(trace).get("spans"))]
    return found


def _span_of_v1(one: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    process = object_of(one.get("process") or processes.get(one.get("processID", "")) or {})
    tags = _tags(one.get("tags"))
    trace_id = digits_of(one["traceID"], TRACE_DIGITS)
    references = [
        SpanReference(
            text_of(reference.get("refType") or "CHILD_OF"),
            digits_of(reference["traceID"], TRACE_DIGITS),
            digits_of(reference["spanID"], SPAN_DIGITS),
        )
        for reference in map(object_of, list_of(one.get("references")))
    ]
    parents = [
        reference.span_id
        for reference in sorted(references, key=lambda reference: reference.type != "CHILD_OF")
        if reference.trace_id == trace_id
    ]
    return Span(
        trace_id,
        digits_of(one["spanID"], SPAN_DIGITS),
        parents[0] if parents else "",
        text_of(one.get("operationName") or ""),
        text_of(process.get("serviceName") or ""),
        int(one["startTime"]) * 1_000,
        int(one["duration"]) * 1_000,
        kind=tags.get("span.kind", ""),
        is_error=tags.get("error", "").lower() in _TRUE or tags.get("otel.status_code") == "ERROR",
        status=tags.get("otel.status_description", ""),
        attributes={**_tags(process.get("tags")), **tags},
        events=tuple(_event(object_of(log)) for log in list_of(one.get("logs"))),
        references=tuple(references),
    )


def _event(log: Mapping[str, Any]) -> SpanEvent:
    fields = _tags(log.get("fields"))
    name = fields.pop("event", "") or fields.pop("message", "")
    return SpanEvent(int(log["timestamp"]) * 1_000, name, fields)


def _tags(pairs: Any) -> dict[str, str]:
    found = {}
    for pair in list_of(pairs):
        value = object_of(pair).get("value")
        found[text_of(pair["key"])] = value if isinstance(value, str) else orjson.dumps(value).decode()
    return found


def _message_of_v3(reply: Reply) -> str | None:
    """Return the words of version 3's own error, None where the answer is another program's."""
    try:
        return str(orjson.loads(reply.body)["error"]["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return None


def _message_of_v1(reply: Reply) -> str | None:
    try:
        return str(orjson.loads(reply.body)["errors"][0]["msg"])
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return None


BACKEND: Final = Backend("jaeger", "Jaeger", Jaeger.signals, JaegerConfig, Jaeger)
BACKENDS: Final = (BACKEND,)
