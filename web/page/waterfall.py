"""A trace as a waterfall: a row a span in the tree's order, with its place in time, the critical path and errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from access.reading import Reading
from access.text import visible
from connectors.analysis.trace_shape import Node, Shape, shape
from connectors.connected import Connected
from connectors.contract import Signal, Trace
from connectors.tools.asker import Asker, traces
from connectors.tools.get_traces import id_of

OWN: Final = "telemetry"
"""The name of the connection to our own store."""
SPANS: Final = 1_000
"""Spans that are drawn of one trace on one view."""
_MILLISECOND: Final = 1e6
_ATTRIBUTES: Final = 40
_VALUE: Final = 500
_ABOUT: Final = ("tool_name", "gen_ai.tool.name", "model", "gen_ai.request.model", "http.route", "db.system")


@dataclass(frozen=True, slots=True)
class Row:
    """A span as it is drawn. Shares are of the trace's length, in per cent."""

    name: str
    about: str
    """The tool or the model, where the span says one."""
    service: str
    span_id: str
    depth: int
    left: float
    width: float
    ms: float
    self_ms: float
    is_error: bool
    is_critical: bool
    status: str
    attributes: Sequence[tuple[str, str]]
    events: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A whole trace."""

    trace_id: str
    connection: str
    session: str
    """The session that its spans name, "" for none."""
    shape: Shape
    rows: Sequence[Row]
    begin: int
    """Which span in the tree's order is the first of these rows."""
    window: tuple[int, int]
    """When its first span began and its last ended, in nanoseconds; (0, 0) without spans."""

    @property
    def ms(self) -> float:
        """How long it took."""
        return self.shape.duration_ns / _MILLISECOND


async def waterfall(
    reading: Reading, connected: Connected, trace_id: str, connection: str | None, begin: int = 0
) -> Waterfall:
    """Return a trace of a connection that has traces, from one of its spans on. Raises Refusal."""
    asker = Asker(reading, connected)
    wanted = id_of(trace_id)
    chosen = await asker.choose(Signal.TRACES, connection)
    asked = await asker.ask(
        chosen,
        "page",
        "trace",
        ("trace", wanted, None),
        lambda adapter: traces(adapter).trace(wanted, None),
        text=wanted,
    )
    return drawn(asked.result, chosen.name, begin)


def drawn(trace: Trace, connection: str, begin: int = 0) -> Waterfall:
    """Return a trace's rows, SPANS of them from `begin` on."""
    made = shape(trace)
    session = next(
        (value for node in made.nodes if (value := node.span.attributes.get("session.id", ""))), ""
    )
    rows = [_row(node, made.duration_ns) for node in made.nodes[begin : begin + SPANS]]
    started = min((span.start_ns for span in trace.spans), default=0)
    ended = max((span.start_ns + max(span.duration_ns, 0) for span in trace.spans), default=0)
    return Waterfall(trace.trace_id, connection, visible(session), made, rows, begin, (started, ended))


def _row(node: Node, length: int) -> Row:
    span = node.span
    whole = max(length, 1)
    left = min(max(100 * node.start_ns / whole, 0.0), 100.0)
    width = min(max(100 * span.duration_ns / whole, 0.0), 100.0 - left)
    return Row(
        visible(span.name, 200),
        visible(next((span.attributes[key] for key in _ABOUT if span.attributes.get(key)), ""), 100),
        visible(span.service, 100),
        span.span_id,
        node.depth,
        round(left, 3),
        round(width, 3),
        span.duration_ns / _MILLISECOND,
        node.self_ns / _MILLISECOND,
        span.is_error,
        node.is_critical,
        visible(span.status, _VALUE),
        [
            (visible(name, 200), visible(value, _VALUE))
            for name, value in list(span.attributes.items())[:_ATTRIBUTES]
        ],
        [
            (visible(event.name, 200), f"{(event.time_ns - span.start_ns) / _MILLISECOND:.1f} ms")
            for event in span.events[:20]
        ],
    )
