"""A stand-in for Tempo, which does not run where the tests do: its documented interface over spans in memory.

It evaluates what it is asked: the filter, times and limit. Traces are found in the order of their ids and not of time,
with leading zeros cut from ids; traces by id have ids in base64 and enumerations by name, as Tempo's JSON has them.
Without start and end a search finds recent traces alone, which these are not. `is_old` is Tempo without version 2 of
its interface.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.connectors.logql_reader import ParseError
from tests.connectors.replay import Answered, served
from tests.connectors.shop import SPANS, SpanData, resource_spans
from tests.connectors.traceql_reader import Query, Values, read

_TEXT = {"content-type": "text/plain; charset=utf-8"}
_JSON = {"content-type": "application/json"}
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


class RefusedError(Exception):
    """An answer that is an error: a status and a text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@contextmanager
def tempo(
    spans: Sequence[SpanData] = SPANS, *, is_old: bool = False, tenant: str = "", partial: str = ""
) -> Iterator[str]:
    """Serve spans on loopback; the address. `partial` is a trace that is larger than Tempo returns."""

    def answer(_: str, target: str, headers: Mapping[str, str], __: bytes) -> Answered:
        parts = urlsplit(target)
        params = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if tenant and headers.get("x-scope-orgid") != tenant:
            return Answered(401, _TEXT, b"no org id\n")
        try:
            if is_old and "/v2/" in parts.path:
                raise RefusedError(404, "404 page not found")  # noqa: TRY301
            found = _answer(parts.path, params, spans, partial)
        except ParseError as error:
            return Answered(400, _TEXT, f"invalid TraceQL query: {error}\n".encode())
        except RefusedError as error:
            return Answered(error.status, _TEXT, f"{error}\n".encode())
        return Answered(200, _JSON, json.dumps(found).encode())

    with served(answer) as url:
        yield url


def _answer(  # noqa: PLR0911
    path: str, params: Mapping[str, str], spans: Sequence[SpanData], partial: str
) -> Mapping[str, Any]:
    match path.removeprefix("/api/").split("/"):
        case ["v2", "traces", trace_id]:
            status = {"status": "PARTIAL", "message": "trace exceeds max size"} if trace_id == partial else {}
            return {"trace": {"resourceSpans": _trace(trace_id, spans)}, **status}
        case ["traces", trace_id]:
            return {"batches": _trace(trace_id, spans)}
        case ["search"]:
            return _search(read(params["q"]), params, _within(params, spans))
        case ["search", "tags"]:
            return {"tagNames": ["http.status_code", "service.name"]}
        case ["v2", "search", "tag", tag, "values"]:
            matches = read(params.get("q", "{}")).matches
            found = {_values(one).get(tag) for one in _within(params, spans) if matches(_values(one))}
            return {"tagValues": [{"type": "string", "value": one} for one in sorted(filter(None, found))]}
        case ["search", "tag", tag, "values"]:
            name = tag if tag == "name" else f".{tag}"
            found = {_values(one).get(name) for one in _within(params, spans)}
            return {"tagValues": sorted(filter(None, found))}
        case ["status", "buildinfo"]:
            return {"version": "2.8.0", "revision": "abc"}
        case _:
            raise RefusedError(404, "404 page not found")


def _within(params: Mapping[str, str], spans: Sequence[SpanData]) -> list[SpanData]:
    if "start" not in params:
        return []
    start, end = (int(params[name]) * 10**9 for name in ("start", "end"))
    return [span for span in spans if start <= span.start_ns < end]


def _trace(trace_id: str, spans: Sequence[SpanData]) -> list[dict[str, Any]]:
    if not set(trace_id) <= set("0123456789abcdef"):
        raise RefusedError(400, "trace IDs can only contain hex characters: invalid character")
    found = tuple(span for span in spans if span.trace_id == trace_id.zfill(32))
    if not found:
        raise RefusedError(404, "trace not found")
    groups = resource_spans(found)
    for span in (one for group in groups for scope in group["scopeSpans"] for one in scope["spans"]):
        for one in (span, *span["links"]):
            for name in {"traceId", "spanId", "parentSpanId"} & one.keys():
                one[name] = base64.b64encode(bytes.fromhex(one[name])).decode()
        span["kind"] = f"SPAN_KIND_{_KINDS[span['kind']].upper()}"
        span["status"] = {**span["status"], "code": "STATUS_CODE_ERROR"} if span["status"] else {}
    return groups


def _search(query: Query, params: Mapping[str, str], spans: Sequence[SpanData]) -> Mapping[str, Any]:
    by_id: dict[str, list[SpanData]] = {}
    for span in spans:
        if query.matches(_values(span)):
            by_id.setdefault(span.trace_id, []).append(span)
    traces = []
    for trace_id in sorted(by_id)[: int(params.get("limit", "20"))]:
        every = [span for span in spans if span.trace_id == trace_id]
        root = next((span for span in every if not span.parent_id), None)
        start = min(span.start_ns for span in every)
        end = max(span.start_ns + span.duration_ns for span in every)
        some = by_id[trace_id][: int(params.get("spss", "3"))]
        traces.append(
            {
                "traceID": trace_id.lstrip("0"),
                "rootServiceName": root.service if root else "<root span not yet received>",
                "rootTraceName": root.name if root else "",
                "startTimeUnixNano": str(start),
                "durationMs": (end - start) // 10**6,
                "spanSets": [
                    {"spans": [_found(span, query) for span in some], "matched": len(by_id[trace_id])}
                ],
            }
        )
    return {"traces": traces, "metrics": {"inspectedTraces": len(by_id), "inspectedBytes": "4096"}}


def _found(span: SpanData, query: Query) -> dict[str, Any]:
    values = _values(span)
    attributes = []
    for name in dict.fromkeys((*query.selected, *(one[0] for one in query.compared))):
        value = values.get(name)
        if name not in {"name", "duration"} and value is not None:
            kind = {bool: "boolValue", int: "intValue"}.get(type(value), "stringValue")
            key = name.removeprefix("resource.").removeprefix("span.").removeprefix(".")
            attributes.append({"key": key, "value": {kind: value}})
    return {
        "spanID": span.span_id.lstrip("0"),
        "name": span.name,
        "startTimeUnixNano": str(span.start_ns),
        "durationNanos": str(span.duration_ns),
        "attributes": attributes,
    }


def _values(span: SpanData) -> Values:
    own = {}
    for name, value in span.attributes.items():
        ((kind, plain),) = value.items()
        own[name] = int(plain) if kind == "intValue" else plain
    intrinsics = {
        "name": span.name,
        "status": "error" if span.is_error else "unset",
        "duration": span.duration_ns,
        "kind": _KINDS[span.kind],
    }
    return Values(intrinsics, {"service.name": span.service, "k8s.namespace.name": "production"}, own)
