"""A trace as an indented tree: each span under the one that it is a part of, in the order in which they began."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

_ABOUT: Final = ("tool_name", "model", "query_source", "attempt", "decision", "error")
"""Attributes that say what a span did."""
_INDENT: Final = "  "
_DEEPEST: Final = 20
COLUMNS: Final = ("span", "after_ms", "ms", "status", "about", "id")
TYPES: Final = ("String", "Float64", "Float64", "String", "String", "String")


def tree(spans: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the rows of COLUMNS for the rows of the question `trace`.

    A span whose parent is not there is a root, and so is one that would be its own ancestor.
    """
    known = {span["span"] for span in spans}
    below: dict[str, list[Mapping[str, Any]]] = {}
    for span in spans:
        parent = span["parent"] if span["parent"] in known and span["parent"] != span["span"] else ""
        below.setdefault(parent, []).append(span)
    begun = min((span["started"] for span in spans), default=None)
    rows: list[tuple[Any, ...]] = []
    seen: set[str] = set()

    def add(roots: Sequence[Mapping[str, Any]]) -> None:
        waiting = [(span, 0) for span in reversed(roots)]
        while waiting:
            span, depth = waiting.pop()
            if span["span"] in seen:
                continue
            seen.add(span["span"])
            rows.append(_row(span, depth, begun))
            waiting += [(one, depth + 1) for one in reversed(below.get(span["span"], ()))]

    add(below.get("", ()))
    add([span for span in spans if span["span"] not in seen])  # in a circle
    return rows


def _row(span: Mapping[str, Any], depth: int, begun: datetime | None) -> tuple[Any, ...]:
    name = str(span["name"]).removeprefix("claude_code.")
    attributes = span["attributes"] if isinstance(span["attributes"], Mapping) else {}
    about = " ".join(str(attributes[key]) for key in _ABOUT if attributes.get(key))
    after = (span["started"] - begun).total_seconds() * 1000 if begun else None
    status = "" if span["status"] == "Unset" else span["status"]
    return (_INDENT * min(depth, _DEEPEST) + name, after, span["ms"], status, about, span["span"])
