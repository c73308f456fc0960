"""Loki's streams read as lines, and how far they were read: a moment, and which lines of it.

Where an answer tells labels of streams from other fields, the labels alone name a stream; otherwise the names of labels
do. A cursor has digests of the lines of its moment, since Loki promises no order within a nanosecond.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from connectors.contract import BackendError, Kind, LogLine, Severity
from connectors.logql import LEVEL, NAMESPACE, POD, SERVICE, SPAN, TRACE
from connectors.replies import list_of, object_of, text_of
from connectors.severities import severity_in, severity_of
from connectors.trace_ids import padded

_IN_TEXT: Final = re.compile(
    r"""\btrace_?id["']?\s?[=:]\s?["']?([0-9a-f]{32}|[0-9a-f]{16})\b""", re.IGNORECASE
)
_CURSOR: Final = re.compile(r"(\d{1,19})((?:\.[0-9a-f]{12})+)")


def lines_of(stream: Mapping[str, Any], names: frozenset[str] | None) -> Iterable[LogLine]:
    """Yield a stream's lines. `names` are those of labels, where the answer holds other fields among them."""
    labels = texts_of(stream["stream"])
    own = labels if names is None else {name: value for name, value in labels.items() if name in names}
    key = orjson.dumps(own, option=orjson.OPT_SORT_KEYS).decode()
    for entry in list_of(stream["values"]):
        more = object_of(entry[2]) if len(entry) > 2 else {}  # noqa: PLR2004
        metadata = more.get("structuredMetadata", {} if "parsed" in more else more)
        every = {**labels, **texts_of(metadata or {}), **texts_of(more.get("parsed") or {})}
        message = text_of(entry[1])
        job = every.get("job", "")
        service = _first(every, SERVICE)
        yield LogLine(
            int(entry[0]),
            message,
            severity_of_line(every, message),
            service.rpartition("/")[2] if service == job else service,
            _first(every, POD),
            _first(every, NAMESPACE),
            _trace_id(every, message),
            padded(_first(every, SPAN), 16),
            every,
            key,
        )


def severity_of_line(labels: Mapping[str, str], message: str) -> Severity | None:
    """Return the severity by the level that a line has, or by the strongest that its text names."""
    named = [labels[name] for name in LEVEL if labels.get(name)]
    if named:
        return next((severity for severity in map(severity_of, named) if severity), None)
    return severity_in(message)


def _trace_id(labels: Mapping[str, str], message: str) -> str:
    found = padded(_first(labels, TRACE), 32)
    if found:
        return found
    in_text = _IN_TEXT.search(message)
    return padded(in_text[1], 32) if in_text else ""


def _first(labels: Mapping[str, str], names: Sequence[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def texts_of(value: Any) -> dict[str, str]:
    """Return labels. Raises TypeError for another shape."""
    return {name: text_of(text) for name, text in object_of(value).items()}


def digest(line: LogLine) -> str:
    """Return what tells a line from others of its moment."""
    return hashlib.sha256(f"{line.stream}\n{line.message}".encode("utf-8", "replace")).hexdigest()[:12]


def cursor_after(lines: Sequence[LogLine], end_ns: int, seen: frozenset[str]) -> str:
    """Return the cursor after lines. `seen` are digests of what an earlier page had of the moment `end_ns`."""
    last = lines[-1].time_ns
    digests = {digest(line) for line in lines if line.time_ns == last} | (
        seen if last == end_ns else frozenset()
    )
    return ".".join([str(last), *sorted(digests)])


def place_of(cursor: str) -> tuple[int, frozenset[str]]:
    """Return the moment and the digests of a cursor. Raises BackendError for what is none."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise BackendError(Kind.BAD_QUERY, "The cursor is not one of this connection's: ask without it.")
    return int(found[1]), frozenset(found[2][1:].split("."))
