"""`get_traces`: a trace's skeleton and then its spans, or the traces that filters find."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from access.document import Document, fit
from access.ids import is_short_trace, whole_in
from access.refusal import invalid
from connectors.analysis.trace_shape import Node, Shape, shape
from connectors.contract import About, Signal, Span, Trace, TracesRequest
from connectors.tools.asker import (
    Asker,
    characters,
    named_values,
    nanoseconds,
    number_of,
    one_of,
    said,
    text_of,
    time_of,
    told,
    traces,
)
from connectors.tools.names import TRACE_DETAILS, TRACE_FILTERS, TRACES

TOOL: Final = "get_traces"
LIMIT: Final = 20
_TREE: Final = 200
_SPENT: Final = 10
_MILLISECOND: Final = 1_000_000
_ABOUT: Final = About()
_HEXADECIMAL: Final = frozenset("0123456789abcdef")


async def get_traces(
    asker: Asker,
    trace_id: str | None = None,
    *,
    filters: Any = None,
    time_range: Any = None,
    connection: str | None = None,
    detail: str = "skeleton",
    span_ids: Sequence[str] | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Document:
    """Return one trace by its id, or those that filters find. Raises Refusal."""
    size = characters(max_characters)
    one_of(detail, TRACE_DETAILS, "detail")
    if trace_id is not None:
        if is_short_trace(str(trace_id)):
            trace_id = await asyncio.to_thread(whole_in, asker.reading.store, "trace", str(trace_id))
        return await _one(
            asker, id_of(trace_id), time_range, connection, detail, span_ids, cursor, zone, size
        )
    count = number_of(limit, "limit", 1, TRACES, LIMIT)
    arguments = ["find", filters, connection, count, detail]
    place = asker.begin(TOOL, arguments, cursor, lambda: asker.period(time_range, zone))
    chosen = await asker.choose(Signal.TRACES, place.connection or connection)
    request = request_of(filters, place.period.window, count, place.cursor)
    asked = await asker.ask(
        chosen,
        TOOL,
        "traces",
        request,
        lambda adapter: traces(adapter).find(request),
        text=str(filters or ""),
        period=place.period,
    )
    found = asked.result.traces[place.skip :]
    about = asked.result.about
    hints = []
    if found:
        hints.append(f"get_traces(trace_id={found[0].trace_id}) has a trace's tree, self times and errors.")
    else:
        hints.append(
            "The search ran and found no traces in this period: list_services has the names of services; without"
            " filters.operation, tags or durations there may be some."
        )
    answer = said(asked, about, place.period, hints=hints)
    if about.next_cursor:
        answer = replace(
            answer, next_cursor=asker.cursor(TOOL, arguments, place, chosen, about.next_cursor, 0)
        )
    document = Document(
        {"traces": [summed(trace, with_spans=detail == "spans") for trace in found]},
        {
            "total_count": about.total_count,
            "returned_count": len(found),
            "query_time_ms": asked.query_time_ms,
            "query_id": asked.query_id or None,
            "connection": told(chosen),
        },
        answer,
    )
    return fit(
        document,
        size,
        lambda kept: (
            asker.cursor(TOOL, arguments, place, chosen, place.cursor, place.skip + kept) if kept else None
        ),
    )


def request_of(filters: Any, window: Any, limit: int, cursor: str | None = None) -> TracesRequest:
    """Return the request of a tool's filters. Raises Refusal."""
    given = named_values(filters, TRACE_FILTERS, "filters")
    tags = given.get("tags") or {}
    if not isinstance(tags, Mapping) or not all(
        isinstance(one, str) for pair in tags.items() for one in pair
    ):
        raise invalid("filters.tags", "tags is an object of texts.", ('{"http.status_code": "500"}',))
    has_error = given.get("has_error")
    if has_error is not None and not isinstance(has_error, bool):
        raise invalid("filters.has_error", "has_error is true or false.")
    return TracesRequest(
        window,
        service=text_of(given.get("service"), "filters.service"),
        operation=text_of(given.get("operation"), "filters.operation"),
        min_duration_ns=nanoseconds(given.get("min_duration"), "filters.min_duration"),
        max_duration_ns=nanoseconds(given.get("max_duration"), "filters.max_duration"),
        tags=dict(tags),
        has_error=has_error,
        limit=limit,
        cursor=cursor,
    )


def id_of(text: Any) -> str:
    """Return a trace's id as 32 hexadecimal digits. Raises Refusal."""
    found = str(text).strip().casefold().replace("-", "")
    if not 0 < len(found) <= 32 or not _HEXADECIMAL.issuperset(found):  # noqa: PLR2004
        raise invalid(
            "trace_id", "A trace's id is up to 32 hexadecimal digits.", ("0af7651916cd43dd8448eb211c80319c",)
        )
    return found.rjust(32, "0")


def summed(trace: Trace, *, with_spans: bool = False) -> dict[str, Any]:
    """Return a trace of a search: what it says of it, and its spans where they are wanted."""
    seen = {span.service for span in trace.spans if span.service}
    found: dict[str, Any] = {
        "trace_id": trace.trace_id,
        "start_time": time_of(trace.start_ns),
        "duration_ms": milliseconds(trace.duration_ns),
        "has_error": trace.has_error,
        "root_service": trace.root_service,
        "root_operation": trace.root_name,
        "span_count": len(trace.spans),
        "service_count": len(seen),
    }
    if not trace.is_whole:
        found["is_whole"] = False
    if with_spans:
        found["spans"] = [span_of(span) for span in trace.spans]
    return found


def span_of(span: Span) -> dict[str, Any]:
    """Return a span with its tags, logs and references."""
    found: dict[str, Any] = {
        "span_id": span.span_id,
        "parent_id": span.parent_id or None,
        "operation_name": span.name,
        "service_name": span.service,
        "start_time": time_of(span.start_ns),
        "duration_ms": milliseconds(span.duration_ns),
        "kind": span.kind,
        "has_error": span.is_error,
        "status": span.status,
        "tags": dict(span.attributes),
        "logs": [
            {"timestamp": time_of(event.time_ns), "name": event.name, "fields": dict(event.attributes)}
            for event in span.events
        ],
        "references": [
            {"type": one.type, "trace_id": one.trace_id, "span_id": one.span_id} for one in span.references
        ],
    }
    return {name: value for name, value in found.items() if value not in ("", [], {})}


def milliseconds(nanoseconds_: int) -> float:
    """Return a duration in milliseconds."""
    return round(nanoseconds_ / _MILLISECOND, 3)


async def _one(
    asker: Asker,
    trace_id: str,
    time_range: Any,
    connection: str | None,
    detail: str,
    span_ids: Sequence[str] | None,
    cursor: str | None,
    zone: str,
    size: int,
) -> Document:
    """Return one trace: its skeleton, or its spans page by page."""
    arguments = [trace_id, connection, detail, span_ids]
    place = asker.begin(TOOL, arguments, cursor, lambda: asker.period(time_range, zone, "7 days ago"))
    chosen = await asker.choose(Signal.TRACES, place.connection or connection)
    window = place.period.window if time_range is not None else None
    asked = await asker.ask(
        chosen,
        TOOL,
        "trace",
        ("trace", trace_id, window),
        lambda adapter: traces(adapter).trace(trace_id, window),
        text=trace_id,
    )
    trace = asked.result
    made = shape(trace)
    answer = replace(
        said(asked, _ABOUT, place.period, hints=_hints(made, detail, trace_id), notes=made.notes),
        time_range=place.period.range if window else None,
    )
    fields = {
        "total_count": 1,
        "query_time_ms": asked.query_time_ms,
        "query_id": asked.query_id or None,
        "connection": told(chosen),
    }
    head = _head(trace, made)
    if detail == "skeleton":
        tree = made.nodes[:_TREE]
        lists: dict[str, Sequence[Any]] = {
            "traces": [head],
            "tree": [_node(node) for node in tree],
            "spent": [
                {
                    "service": one.service,
                    "operation": one.name,
                    "count": one.count,
                    "self_ms": milliseconds(one.self_ns),
                    "errors": one.errors,
                }
                for one in made.spent[:_SPENT]
            ],
            "errors": [span_of(span) for span in made.root_errors[:5]],
        }
        if len(made.nodes) > _TREE:
            said_ = f"tree has the first {_TREE} of {len(made.nodes):,} spans: detail=spans has all, page by page."
            answer = replace(answer, truncated=True, hints=(*answer.hints, said_))
        return fit(Document(lists, fields, answer), size)
    wanted = set(span_ids or ())
    spans = [node.span for node in made.nodes if not wanted or node.span.span_id in wanted]
    if wanted and not spans:
        raise invalid("span_ids", "The trace has none of these spans: its skeleton lists their ids.")
    document = Document(
        {"spans": [span_of(span) for span in spans[place.skip :]]},
        {
            "returned_count": len(spans) - place.skip,
            "total_count": len(spans),
            "trace": head,
            **_without_total(fields),
        },
        answer,
    )
    return fit(
        document,
        size,
        lambda kept: asker.cursor(TOOL, arguments, place, chosen, None, place.skip + kept) if kept else None,
    )


def _without_total(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "total_count"}


def _head(trace: Trace, made: Shape) -> dict[str, Any]:
    return {
        "trace_id": trace.trace_id,
        "start_time": time_of(trace.start_ns or min((span.start_ns for span in trace.spans), default=0)),
        "duration_ms": milliseconds(made.duration_ns),
        "has_error": made.error_count > 0,
        "error_count": made.error_count,
        "span_count": len(made.nodes),
        "service_count": made.service_count,
        "is_whole": trace.is_whole,
        "critical_path": [
            f"{node.span.service}: {node.span.name} ({milliseconds(node.critical_ns):g} ms)"
            for node in made.critical_path[:20]
        ],
    }


def _node(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {
        "depth": node.depth,
        "span_id": node.span.span_id,
        "service_name": node.span.service,
        "operation_name": node.span.name,
        "start_ms": milliseconds(node.start_ns),
        "duration_ms": milliseconds(node.span.duration_ns),
        "self_ms": milliseconds(node.self_ns),
    }
    if node.is_critical:
        found["is_critical"] = True
    if node.span.is_error:
        found["error"] = node.span.status or True
    if node.is_orphan:
        found["is_orphan"] = True
    return found


def _hints(made: Shape, detail: str, trace_id: str) -> list[str]:
    hints = []
    if detail == "skeleton" and made.nodes:
        hints.append("detail=spans with span_ids has the tags, logs and references of spans.")
    hints.append(f"search_logs(filters={{trace_id: {trace_id}}}) has the lines of this request.")
    return hints
