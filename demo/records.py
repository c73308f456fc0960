"""The records of a client before they are encoded: events, spans and data points.

Times are Unix nanoseconds. Attributes are those of the record alone; those that all records of a process share (user,
session, team) are encoded once, in `pack.py`.
"""

from collections.abc import Mapping
from typing import NamedTuple

Value = str | bool | int | float | tuple[str, ...]
Attributes = Mapping[str, Value]


class Event(NamedTuple):
    """A log record of Claude Code; `name` is bare, such as `tool_result`."""

    time: int
    name: str
    attributes: Attributes
    trace_id: bytes = b""
    span_id: bytes = b""


class SpanEvent(NamedTuple):
    """An event of a span, at one moment."""

    time: int
    name: str
    attributes: Attributes


class Span(NamedTuple):
    """A span; `name` is bare, such as `llm_request`, and `error` the message of a failed one."""

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start: int
    end: int
    attributes: Attributes
    error: str | None = None
    events: tuple[SpanEvent, ...] = ()


class Point(NamedTuple):
    """A data point of a counter; `start` is when the counting began, `metric` the bare name, such as `cost.usage`."""

    metric: str
    attributes: Attributes
    start: int
    time: int
    value: float
    is_cumulative: bool


Record = Event | Span | Point
