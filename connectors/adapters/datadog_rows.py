"""Datadog's rows and queries: its answers as the contract's shapes, and the contract's requests in its language."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectors.contract import (
    About,
    BackendError,
    Cost,
    Kind,
    LogLine,
    LogsRequest,
    Series,
    Severity,
    Span,
    Trace,
    TracesRequest,
    Window,
)

PAGE: Final = 1_000
"""Rows of one search."""
_MILLISECOND: Final = 1_000_000
_SEVERITIES: Final[Mapping[Severity, tuple[str, ...]]] = {
    Severity.ERROR: ("error", "critical", "alert", "emergency"),
    Severity.WARN: ("warn", "warning"),
    Severity.INFO: ("info", "notice", "ok"),
    Severity.DEBUG: ("debug", "trace"),
}
SEVERITY_OF: Final = {name: severity for severity, names in _SEVERITIES.items() for name in names}
_KINDS: Final = frozenset({"server", "client", "internal", "producer", "consumer"})


def about_of(found: Mapping[str, Any], query: str) -> About:
    """Return what a search says beside its rows."""
    meta = as_dict(found.get("meta"))
    cursor = cursor_of(found)
    elapsed = meta.get("elapsed")
    return About(
        query,
        has_more=bool(cursor),
        next_cursor=cursor,
        is_partial=meta.get("status") == "timeout",
        warnings=tuple(
            str(as_dict(one).get("detail") or as_dict(one).get("title"))
            for one in as_list(meta.get("warnings"))
        ),
        cost=Cost(milliseconds=float(elapsed)) if isinstance(elapsed, int | float) else None,
    )


def cursor_of(found: Mapping[str, Any]) -> str | None:
    """Return the cursor to the next page of a search, None on the last."""
    after = as_dict(as_dict(found.get("meta")).get("page")).get("after")
    return str(after) if after else None


def page_of(limit: int, cursor: str | None) -> dict[str, Any]:
    """Return the page of a search."""
    return {"limit": max(1, min(PAGE, limit)), **({"cursor": cursor} if cursor else {})}


def period_of(window: Window) -> dict[str, str]:
    """Return a period as milliseconds in text, which searches take."""
    return {
        "from": str(round(window.start.timestamp() * 1_000)),
        "to": str(round(window.end.timestamp() * 1_000)),
    }


def series_of(found: Mapping[str, Any]) -> Series:
    """Return a series; its tags are its labels."""
    tags = [str(tag).partition(":") for tag in as_list(found.get("tag_set"))]
    labels = {"__name__": str(found.get("metric") or found.get("expression") or "")}
    labels |= {name: value for name, _, value in tags}
    try:
        points = [
            (float(time) / 1_000, None if value is None else float(value))
            for time, value in as_list(found.get("pointlist"))
        ]
    except (TypeError, ValueError):
        raise BackendError(Kind.MALFORMED, "Datadog's points are not pairs of numbers.") from None
    return Series(labels, sorted(points, key=lambda point: point[0]))


def logs_query(request: LogsRequest) -> str:
    """Return a request for lines in the language of log search."""
    found = []
    if request.text:
        alternatives = [
            " ".join(_word(word) for word in part.split()) for part in request.text.strip().split(" OR ")
        ]
        found.append("(" + " OR ".join(f"({one})" for one in alternatives if one) + ")")
    if request.severity is not None:
        found.append(f"status:({' OR '.join(_SEVERITIES[request.severity])})")
    for name, value in (
        ("service", request.service),
        ("kube_namespace", request.namespace),
        ("pod_name", request.pod),
        ("trace_id", request.trace_id),
        *request.labels.items(),
    ):
        if value:
            found.append(f"{name}:{quoted(value)}")
    return " ".join(found) or "*"


def spans_query(request: TracesRequest) -> str:
    """Return a request for traces in the language of span search."""
    found = []
    for name, value in (("service", request.service), ("resource_name", request.operation)):
        if value:
            found.append(f"{name}:{quoted(value)}")
    found += [f"@{name}:{quoted(value)}" for name, value in request.tags.items()]
    if request.has_error is not None:
        found.append("status:error" if request.has_error else "-status:error")
    if request.min_duration_ns is not None:
        found.append(f"@duration:>={request.min_duration_ns}")
    if request.max_duration_ns is not None:
        found.append(f"@duration:<={request.max_duration_ns}")
    return " ".join(found) or "*"


def quoted(text: str) -> str:
    """Return a text as one value of a search."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _word(text: str) -> str:
    """Return a word of a search for whole words: in the whole line, in any case, `*` for any letters."""
    return text if text.replace("*", "").isalnum() else quoted(text)


def path_of(name: str) -> str:
    """Return a metric's name as a part of a path. Raises BackendError."""
    if not name.replace("_", "").replace(".", "").replace("-", "").isalnum():
        raise BackendError(
            Kind.NOT_FOUND, "A metric's name has letters, digits, points and underscores alone."
        )
    return name


def line_of(event: Mapping[str, Any]) -> LogLine:
    """Return an event of log search as a line."""
    found = as_dict(event.get("attributes"))
    inner = _flat(as_dict(found.get("attributes")))
    tags = dict(pair for pair in (_pair(tag) for tag in as_list(found.get("tags"))) if pair)
    service, host = str(found.get("service") or ""), str(found.get("host") or "")
    stream = " ".join(
        f"{name}:{quoted(value)}" for name, value in (("service", service), ("host", host)) if value
    )
    return LogLine(
        _nanoseconds(found.get("timestamp")),
        str(found.get("message") or ""),
        SEVERITY_OF.get(str(found.get("status") or "").casefold()),
        service,
        tags.get("pod_name", ""),
        tags.get("kube_namespace", ""),
        _trace_id(inner.get("trace_id") or inner.get("dd.trace_id") or ""),
        _span_id(inner.get("span_id") or inner.get("dd.span_id") or ""),
        {**tags, **inner, **({"host": host} if host else {})},
        stream,
        str(event.get("id") or ""),
    )


def span_of(event: Mapping[str, Any]) -> Span:
    """Return an event of span search as a span."""
    found = as_dict(event.get("attributes"))
    custom = _flat(as_dict(found.get("custom")))
    tags = dict(pair for pair in (_pair(tag) for tag in as_list(found.get("tags"))) if pair)
    start, end = _nanoseconds(found.get("start_timestamp")), _nanoseconds(found.get("end_timestamp"))
    kind = custom.get("span.kind", "")
    parent = str(found.get("parent_id") or "")
    return Span(
        _trace_id(str(found.get("trace_id") or "")),
        _span_id(str(found.get("span_id") or "")),
        _span_id(parent) if parent not in {"", "0"} else "",
        str(found.get("resource_name") or ""),
        str(found.get("service") or ""),
        start,
        # Custom durations are exact; the timestamps are of milliseconds.
        int(float(custom["duration"])) if custom.get("duration", "").isdigit() else max(0, end - start),
        kind if kind in _KINDS else "",
        is_error=custom.get("status") == "error"
        or str(found.get("status")) == "error"
        or "error.type" in custom,
        status=custom.get("error.message", ""),
        attributes={**tags, **custom},
    )


def trace_of(trace_id: str, spans: Sequence[Span], *, is_whole: bool) -> Trace:
    """Return a trace of some or all of its spans, at least one."""
    ordered = sorted(spans, key=lambda span: span.start_ns)
    root = next((span for span in ordered if not span.parent_id), ordered[0])
    ends = max(span.start_ns + span.duration_ns for span in ordered)
    return Trace(
        trace_id,
        ordered,
        is_whole,
        root.service,
        root.name,
        ordered[0].start_ns,
        ends - ordered[0].start_ns,
        True if any(span.is_error for span in ordered) else False if is_whole else None,
    )


def _pair(tag: Any) -> tuple[str, str] | None:
    name, colon, value = str(tag).partition(":")
    return (name, value) if colon else None


def _flat(found: Mapping[str, Any], before: str = "", depth: int = 6) -> dict[str, str]:
    """Return nested attributes by names with points, their values as text."""
    flat: dict[str, str] = {}
    for name, value in found.items():
        if isinstance(value, dict) and depth:
            flat |= _flat(value, f"{before}{name}.", depth - 1)
        elif value is not None:
            flat[f"{before}{name}"] = str(value)
    return flat


def _nanoseconds(moment: Any) -> int:
    if isinstance(moment, int | float) and not isinstance(moment, bool):
        return int(moment * _MILLISECOND)
    try:
        found = datetime.fromisoformat(str(moment))
    except ValueError:
        raise BackendError(Kind.MALFORMED, "Datadog's answer has a row without a time.") from None
    since = found.replace(tzinfo=found.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since // timedelta(microseconds=1)) * 1_000


def _trace_id(text: str) -> str:
    return _hexadecimal(text, 32)


def _span_id(text: str) -> str:
    return _hexadecimal(text, 16)


def _hexadecimal(text: str, digits: int) -> str:
    """Return an id in hexadecimal: a decimal number of up to 20 digits is one of Datadog's 64-bit ids."""
    if not text:
        return ""
    if text.isdecimal() and len(text) <= 20 and len(text) != digits:  # noqa: PLR2004
        return f"{int(text):0{digits}x}"
    return text.casefold().rjust(digits, "0")


def as_dict(value: Any) -> Mapping[str, Any]:
    """Return an object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> Sequence[Any]:
    """Return an array, an empty one for anything else."""
    return value if isinstance(value, list) else ()
