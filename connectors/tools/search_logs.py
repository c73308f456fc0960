"""`search_logs`: lines of a connected system, with those around them, their numbers by severity, and their patterns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from access.document import Document, fit
from access.refusal import Code, Refusal, invalid
from connectors.analysis.log_templates import templates
from connectors.connected import Connection
from connectors.contract import LogLine, LogsRequest, Severity, Signal
from connectors.tools.asker import (
    Asker,
    Period,
    characters,
    logs,
    named_values,
    number_of,
    one_of,
    said,
    text_of,
    time_of,
    told,
)
from connectors.tools.names import CONTEXT, LINES, LOG_FILTERS, QUERY_KINDS, SEVERITIES

TOOL: Final = "search_logs"
LIMIT: Final = 100
_AROUND: Final = 20
"""Of so many lines those around them are read."""
_PATTERNS: Final = 10


@dataclass(frozen=True, slots=True)
class Around:
    """Which lines those around are asked for."""

    lines: tuple[LogLine, ...]
    count: int


Neighbours = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


async def search_logs(
    asker: Asker,
    query: str = "",
    *,
    query_kind: str = "text",
    filters: Any = None,
    time_range: Any = None,
    connection: str | None = None,
    limit: int | None = None,
    context_lines: int | None = None,
    cursor: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Document:
    """Return the lines that match. Raises Refusal."""
    size = characters(max_characters)
    count = number_of(limit, "limit", 1, LINES, LIMIT)
    around = number_of(context_lines, "context_lines", 0, CONTEXT, 0)
    one_of(query_kind, QUERY_KINDS, "query_kind")
    arguments = [query, query_kind, filters, connection, count, around]
    place = asker.begin(TOOL, arguments, cursor, lambda: asker.period(time_range, zone))
    chosen = await asker.choose(Signal.LOGS, place.connection or connection)
    request = request_of(query, query_kind, filters, place.period, count, place.cursor)
    asked = await asker.ask(
        chosen,
        TOOL,
        "logs",
        request,
        lambda adapter: logs(adapter).search(request),
        text=query,
        period=place.period,
    )
    lines = asked.result.lines[place.skip :]
    notes: list[str] = []
    nearby, note = await _around(asker, chosen, lines[:_AROUND], around)
    notes += [note] if note else []
    counts, note = await _counts(asker, chosen, request, lines, place.period)
    notes += [note] if note else []
    items = [_shown(line, nearby.get(number)) for number, line in enumerate(lines)]
    about = asked.result.about
    following = about.next_cursor
    answer = said(
        asked, about, place.period, hints=_hints(lines, request, about.has_more, following), notes=notes
    )
    if following:
        following = asker.cursor(TOOL, arguments, place, chosen, following, 0)
    patterns = [
        {
            "template": one.template,
            "count": one.count,
            "first": time_of(one.first_ns),
            "last": time_of(one.last_ns),
            "severities": list(one.severities),
        }
        for one in templates(lines)[:_PATTERNS]
    ]
    document = Document(
        {"logs": items, "patterns": patterns if len(lines) > 1 else []},
        {
            "total_count": about.total_count,
            "returned_count": len(items),
            "counts_by_severity": counts,
            "query_time_ms": asked.query_time_ms,
            "query_id": asked.query_id or None,
            "connection": told(chosen),
        },
        replace(answer, next_cursor=following),
    )
    return fit(
        document,
        size,
        lambda kept: (
            asker.cursor(TOOL, arguments, place, chosen, place.cursor, place.skip + kept) if kept else None
        ),
    )


def request_of(
    query: str, kind: str, filters: Any, period: Period, limit: int, cursor: str | None = None
) -> LogsRequest:
    """Return the request of a tool's arguments. Raises Refusal."""
    given = named_values(filters, LOG_FILTERS, "filters")
    severity = given.get("severity")
    labels = given.get("labels") or {}
    if not isinstance(labels, Mapping) or not all(
        isinstance(one, str) for pair in labels.items() for one in pair
    ):
        raise invalid("filters.labels", "labels is an object of texts by label.")
    text = text_of(query, "query").strip()
    return LogsRequest(
        period.window,
        text=text if kind == "text" else "",
        regex=text if kind == "regex" else "",
        query=text if kind == "native" else "",
        severity=Severity(one_of(severity, SEVERITIES, "filters.severity")) if severity else None,
        **{
            name: text_of(given.get(name), f"filters.{name}")
            for name in ("service", "namespace", "pod", "trace_id")
        },
        labels=dict(labels),
        limit=limit,
        cursor=cursor,
    )


async def _around(
    asker: Asker, connection: Connection, lines: Sequence[LogLine], count: int
) -> tuple[Mapping[int, tuple[Sequence[str], Sequence[str]]], str]:
    """Return the texts before and after the first lines, by their number, and a note where that is not all."""
    if not count or not lines:
        return {}, ""
    request = Around(tuple(lines), count)

    async def read(adapter: Any) -> Neighbours:
        found = []
        for line in request.lines:
            before, after = await logs(adapter).context(line, count, count)
            found.append((tuple(one.message for one in before), tuple(one.message for one in after)))
        return tuple(found)

    try:
        asked = await asker.ask(connection, TOOL, "context", request, read)
    except Refusal as refusal:
        return {}, f"The lines around were not read: {refusal.message}"
    note = f"context is of the first {_AROUND} lines." if len(lines) == _AROUND else ""
    return dict(enumerate(asked.result)), note


async def _counts(
    asker: Asker, connection: Connection, request: LogsRequest, lines: Sequence[LogLine], period: Period
) -> tuple[dict[str, int], str]:
    """Return how many lines match, by severity: as the system counts them, or else of those that were returned."""
    try:
        asked = await asker.ask(
            connection,
            TOOL,
            "log_counts",
            request,
            lambda adapter: logs(adapter).count_by_severity(request),
            text=request.text or request.regex or request.query,
            period=period,
        )
    except Refusal as refusal:
        counts: dict[str, int] = {}
        for line in lines:
            name = line.severity.value if line.severity else "unknown"
            counts[name] = counts.get(name, 0) + 1
        why = "" if refusal.code is Code.UNSUPPORTED else f" ({refusal.message})"
        return counts, f"counts_by_severity counts the lines of this answer alone{why}."
    return dict(asked.result), ""


def _shown(line: LogLine, around: tuple[Sequence[str], Sequence[str]] | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "timestamp": time_of(line.time_ns),
        "level": line.severity.value if line.severity else None,
        "service": line.service,
        "pod": line.pod,
        "message": line.message,
    }
    if around is not None:
        found["context"] = {"before": list(around[0]), "after": list(around[1])}
    labels = {name: value for name, value in line.labels.items() if value not in {line.service, line.pod}}
    if line.namespace:
        labels = {"namespace": line.namespace, **labels}
    found["labels"] = labels
    if line.trace_id:
        found |= {"trace_id": line.trace_id, "span_id": line.span_id}
    return {name: value for name, value in found.items() if value != ""}


def _hints(lines: Sequence[LogLine], request: LogsRequest, has_more: bool, cursor: str | None) -> list[str]:  # noqa: FBT001
    hints = []
    if not lines:
        hints.append(
            "The search ran and no line matches in this period: try fewer words, a longer time_range, or discover for"
            " the names of services."
        )
    if has_more and not cursor:
        oldest = time_of(min(line.time_ns for line in lines)) if lines else ""
        hints.append(f"There are more lines: set time_range.end to {oldest}, or add words or filters.")
    traced = next((line.trace_id for line in lines if line.trace_id), "")
    if traced:
        hints.append(f"get_traces(trace_id={traced}) has the request of a line.")
    if request.severity is None and len(lines) == request.limit:
        hints.append("filters.severity=error leaves out what went well.")
    return hints
