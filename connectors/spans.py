"""Traces in OTLP's JSON, read as spans, and spans put together as traces.

Systems write OTLP's JSON in two ways: ids in hexadecimal digits and enumerations as numbers, as OTLP has it, or ids
in base64 and enumerations by name, as protobuf has it. Both are read. Specification:
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from connectors.contract import BackendError, Kind, Span, SpanEvent, SpanReference, Trace
from connectors.replies import list_of, object_of, text_of

TRACE_DIGITS: Final = 32
SPAN_DIGITS: Final = 16
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]+")
_KINDS: Final = {0: "", 1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_ERROR: Final = frozenset({2, "2", "STATUS_CODE_ERROR"})


def trace_id_of(text: str) -> str:
    """Return a trace's id as people write it, as 32 digits. Raises BackendError for anything else."""
    plain = text.strip().lower()
    if not _HEXADECIMAL.fullmatch(plain) or len(plain) > TRACE_DIGITS or not plain.strip("0"):
        raise BackendError(
            Kind.BAD_QUERY,
            "The trace's id is not of 1 to 32 hexadecimal digits, of which one at least is not 0.",
        )
    return plain.zfill(TRACE_DIGITS)


def spans_of(resource_spans: Sequence[Any]) -> list[Span]:
    """Return the spans of OTLP's `resourceSpans`. Raises TypeError, ValueError or KeyError for another shape."""
    found = []
    for group in resource_spans:
        resource = attributes_of(object_of(object_of(group).get("resource") or {}).get("attributes"))
        scopes = group.get("scopeSpans") or group.get("instrumentationLibrarySpans")
        for scope in list_of(scopes):
            found += [_span(object_of(one), resource) for one in list_of(object_of(scope).get("spans"))]
    return found


def attributes_of(pairs: Any) -> dict[str, str]:
    """Return OTLP's attributes, their values as text."""
    return {
        text_of(object_of(pair)["key"]): _text(object_of(pair.get("value") or {})) for pair in list_of(pairs)
    }


def trace_of(trace_id: str, spans: Iterable[Span]) -> Trace:
    """Return a whole trace of its spans, by time. What two answers hold both is taken once."""
    ordered = sorted(
        {span.span_id: span for span in spans}.values(), key=lambda one: (one.start_ns, one.span_id)
    )
    ids = {span.span_id for span in ordered}
    root = next((span for span in ordered if span.parent_id not in ids), ordered[0])
    start = ordered[0].start_ns
    return Trace(
        trace_id,
        tuple(ordered),
        root_service=root.service,
        root_name=root.name,
        start_ns=start,
        duration_ns=max(span.start_ns + span.duration_ns for span in ordered) - start,
        has_error=any(span.is_error for span in ordered),
    )


def traces_of(spans: Iterable[Span]) -> list[Trace]:
    """Return whole traces of spans of many, newest first."""
    by_id: dict[str, list[Span]] = {}
    for span in spans:
        by_id.setdefault(span.trace_id, []).append(span)
    return newest_first(trace_of(trace_id, some) for trace_id, some in by_id.items())


def newest_first(traces: Iterable[Trace]) -> list[Trace]:
    """Return traces by their start, the newest first."""
    return sorted(traces, key=lambda one: (-one.start_ns, one.trace_id))


def digits_of(value: Any, digits: int) -> str:
    """Return an id in hexadecimal digits, padded; empty for none. Raises ValueError for anything else."""
    text = text_of(value or "")
    # 8 and 16 bytes are 12 and 24 characters of base64: the length tells the two ways apart.
    if len(text) in {11, 12, 22, 24}:
        text = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).hex()
    if not text.strip("0"):
        return ""
    if not _HEXADECIMAL.fullmatch(text):
        raise ValueError("an id is neither hexadecimal nor base64")
    return text.lower().zfill(digits)[-digits:]


def _span(one: Mapping[str, Any], resource: Mapping[str, str]) -> Span:
    start = int(one.get("startTimeUnixNano") or 0)
    status = object_of(one.get("status") or {})
    own = attributes_of(one.get("attributes"))
    trace_id, parent_id = (
        digits_of(one["traceId"], TRACE_DIGITS),
        digits_of(one.get("parentSpanId"), SPAN_DIGITS),
    )
    parent = [SpanReference("CHILD_OF", trace_id, parent_id)] if parent_id else []
    links = [
        SpanReference(
            "LINK", digits_of(link["traceId"], TRACE_DIGITS), digits_of(link["spanId"], SPAN_DIGITS)
        )
        for link in list_of(one.get("links"))
    ]
    return Span(
        trace_id,
        digits_of(one["spanId"], SPAN_DIGITS),
        parent_id,
        text_of(one.get("name") or ""),
        resource.get("service.name", ""),
        start,
        max(0, int(one.get("endTimeUnixNano") or start) - start),
        kind=_kind(one.get("kind")),
        is_error=status.get("code") in _ERROR,
        status=text_of(status.get("message") or ""),
        attributes={**resource, **own},
        events=tuple(
            SpanEvent(
                int(event.get("timeUnixNano") or 0),
                text_of(event.get("name") or ""),
                attributes_of(event.get("attributes")),
            )
            for event in map(object_of, list_of(one.get("events")))
        ),
        references=(*parent, *links),
    )


def _kind(value: Any) -> str:
    if isinstance(value, str):
        name = value.removeprefix("SPAN_KIND_").lower()
        return name if name in _KINDS.values() else ""
    return _KINDS.get(value, "") if isinstance(value, int) else ""


def _text(value: Mapping[str, Any]) -> str:
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    return "" if plain is None else orjson.dumps(plain).decode()


def _plain(value: Mapping[str, Any]) -> Any:
    for name, inner in object_of(value).items():
        match name:
            case "stringValue" | "bytesValue":
                return text_of(inner)
            case "intValue":
                return int(inner)
            case "boolValue" | "doubleValue":
                return inner
            case "arrayValue":
                return [_plain(one) for one in list_of(object_of(inner).get("values"))]
            case "kvlistValue":
                pairs = list_of(object_of(inner).get("values"))
                return {text_of(pair["key"]): _plain(pair.get("value") or {}) for pair in pairs}
            case _:
                continue
    return None
