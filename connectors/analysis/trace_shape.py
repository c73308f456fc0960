"""The skeleton of a trace: its tree, where the time went, which path made it last, and what failed.

Spans come from clocks of several machines, and some are missing. A span whose parent is missing is a root of its own; a
loop of parents is cut at its earliest span. A child that lies outside of its parent is moved into it for the figures,
as its clock is off (`skew_ns`), unless it is one that the parent does not wait for: such a child keeps its time.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from connectors.contract import Span, Trace

_ASYNC: Final = ("FOLLOWS_FROM", "LINK")


@dataclass(frozen=True, slots=True)
class Node:
    """A span in the tree, in the order in which the tree is read: each parent before its children."""

    span: Span
    depth: int
    start_ns: int
    """After the begin of the trace, corrected by `skew_ns`."""
    self_ns: int
    """The time in which no child ran that it waits for."""
    children: int
    is_critical: bool
    """Whether the trace would have been shorter without some of its time."""
    critical_ns: int
    """So much of the critical path was spent in the span itself."""
    is_orphan: bool
    """It names a parent that is not there."""
    skew_ns: int
    """By so much its clock is off, as far as its parent shows."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one service's one operation took in a trace."""

    service: str
    name: str
    count: int
    self_ns: int
    errors: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A trace's skeleton. `root_errors` are the failed spans none of whose children failed: where it began."""

    nodes: Sequence[Node]
    duration_ns: int
    service_count: int
    error_count: int
    root_errors: Sequence[Span]
    critical_path: Sequence[Node]
    """The nodes on it, in the order of the tree."""
    spent: Sequence[Spent]
    """By service and operation, the most self time first."""
    missing_parents: int
    skewed: int
    notes: Sequence[str]


@dataclass(slots=True)
class _Placed:
    """A span while its place is being found; times are as corrected."""

    span: Span
    start: int
    end: int
    depth: int = 0
    skew: int = 0
    is_orphan: bool = False
    is_awaited: bool = True


def shape(trace: Trace) -> Shape:
    """Return the skeleton of a trace, of whatever spans of it there are. Of spans with one id, the longest is taken."""
    spans: dict[str, Span] = {}
    for span in trace.spans:
        known = spans.get(span.span_id)
        if known is None or span.duration_ns > known.duration_ns:
            spans[span.span_id] = span
    children = _children(spans)
    order = _ordered(spans, children)
    if not order:
        return Shape((), 0, 0, 0, (), (), (), 0, 0, ("There are no spans.",))
    begin = min(one.start for one in order)
    end = max(one.end for one in order if one.is_awaited)
    placed = {one.span.span_id: one for one in order}
    critical = _critical(children, placed)
    nodes = [
        Node(
            one.span,
            one.depth,
            one.start - begin,
            _self_time(one, [placed[child] for child in children.get(one.span.span_id, ())]),
            len(children.get(one.span.span_id, ())),
            one.span.span_id in critical,
            critical.get(one.span.span_id, 0),
            one.is_orphan,
            one.skew,
        )
        for one in order
    ]
    failed = {one.span.span_id for one in order if one.span.is_error}
    orphans = sum(node.is_orphan for node in nodes)
    skewed = sum(bool(node.skew_ns) for node in nodes)
    return Shape(
        nodes,
        end - begin,
        len({one.span.service for one in order if one.span.service}),
        len(failed),
        [
            one.span
            for one in order
            if one.span.span_id in failed and not failed & set(children.get(one.span.span_id, ()))
        ],
        [node for node in nodes if node.is_critical],
        _spent(nodes),
        orphans,
        skewed,
        _notes(trace, orphans, skewed, len(trace.spans) - len(spans)),
    )


def _children(spans: dict[str, Span]) -> dict[str, list[str]]:
    """Return the ids of each span's children by their begin; under an empty id, the roots. Loops are cut."""
    parents = {
        span_id: span.parent_id if span.parent_id in spans and span.parent_id != span_id else ""
        for span_id, span in spans.items()
    }
    known: set[str] = set()
    for span_id in sorted(spans, key=lambda one: (spans[one].start_ns, one)):
        path: list[str] = []
        at = span_id
        while at and at not in known and at not in path:
            path.append(at)
            at = parents[at]
        if at in path:
            loop = path[path.index(at) :]
            parents[min(loop, key=lambda one: (spans[one].start_ns, one))] = ""
        known.update(path)
    found: dict[str, list[str]] = defaultdict(list)
    for span_id in sorted(spans, key=lambda one: (spans[one].start_ns, one)):
        found[parents[span_id]].append(span_id)
    return dict(found)


def _ordered(spans: dict[str, Span], children: dict[str, list[str]]) -> list[_Placed]:
    """Return all spans, each parent before its children, at corrected times."""
    order: list[_Placed] = []
    waiting: list[tuple[str, _Placed | None]] = [(root, None) for root in reversed(children.get("", []))]
    while waiting:
        span_id, parent = waiting.pop()
        span = spans[span_id]
        one = _Placed(span, span.start_ns, span.start_ns + max(0, span.duration_ns))
        if parent is None:
            one.is_orphan = bool(span.parent_id)
        else:
            one.depth = parent.depth + 1
            one.is_awaited = parent.is_awaited and not _is_async(span)
            _correct(one, parent)
        order.append(one)
        waiting += [(child, one) for child in reversed(children.get(span_id, []))]
    return order


def _is_async(span: Span) -> bool:
    """Whether a parent does not wait for the span."""
    return span.kind == "consumer" or any(
        one.type in _ASYNC and one.span_id == span.parent_id for one in span.references
    )


def _correct(one: _Placed, parent: _Placed) -> None:
    """Move a span into its parent by the parent's own skew, and by its own where it does not lie inside."""
    shift = parent.skew if one.span.service == parent.span.service else 0
    start, length = one.start + shift, one.end - one.start
    is_outside = start < parent.start or start + length > parent.end
    has_own_clock = one.span.service != parent.span.service and length <= parent.end - parent.start
    if one.is_awaited and is_outside and has_own_clock:
        # In the middle: the way there and back take the same time, for all that is known.
        shift = parent.start + (parent.end - parent.start - length) // 2 - one.start
        start = one.start + shift
    one.start, one.end, one.skew = start, start + length, shift


def _self_time(one: _Placed, children: Sequence[_Placed]) -> int:
    """Return a span's time without that in which it waited for a child."""
    covered, at = 0, one.start
    for child in sorted(children, key=lambda placed: placed.start):
        if not child.is_awaited:
            continue
        begin, end = max(child.start, at), min(child.end, one.end)
        if end > begin:
            covered += end - begin
            at = end
    return one.end - one.start - covered


def _critical(children: dict[str, list[str]], placed: dict[str, _Placed]) -> dict[str, int]:
    """Return the spans on the critical path of the longest root, each with its own time on it.

    From the end backwards: what ran last within a span is what it waited for, and before that what ended before it.
    """
    roots = [placed[root] for root in children.get("", [])]
    longest = max(roots, key=lambda one: (one.end - one.start, -one.start))
    found: dict[str, int] = {}
    waiting = [(longest, longest.start, longest.end)]
    while waiting:
        one, since, until = waiting.pop()
        last = min(until, one.end)
        at, own = last, 0
        awaited = [placed[child] for child in children.get(one.span.span_id, ()) if placed[child].is_awaited]
        for child in sorted(awaited, key=lambda child: child.end, reverse=True):
            end = min(child.end, last)
            # One that ends after `at` ran beside the one that was waited for.
            begin = max(child.start, since)
            if begin < end <= at:
                own += at - end
                waiting.append((child, begin, end))
                at = begin
        found[one.span.span_id] = found.get(one.span.span_id, 0) + own + max(0, at - since)
    return found


def _spent(nodes: Sequence[Node]) -> list[Spent]:
    groups: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for node in nodes:
        groups[node.span.service, node.span.name].append(node)
    found = [
        Spent(
            service,
            name,
            len(group),
            sum(node.self_ns for node in group),
            sum(node.span.is_error for node in group),
        )
        for (service, name), group in groups.items()
    ]
    return sorted(found, key=lambda one: (-one.self_ns, one.service, one.name))


def _notes(trace: Trace, orphans: int, skewed: int, repeated: int) -> list[str]:
    notes = []
    if not trace.is_whole:
        notes.append("These are not all spans of the trace: ask for it by its id.")
    if orphans:
        notes.append(
            f"{orphans} spans name a parent that is not there: spans are missing, or not yet stored."
        )
    if skewed:
        notes.append(
            f"{skewed} spans lie outside of their parent: clocks differ, and the figures correct it."
        )
    if repeated:
        notes.append(f"{repeated} spans came more than once; the longest was taken.")
    return notes
