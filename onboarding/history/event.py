"""An event as a transcript tells it: what the client would have sent of it over OTLP."""

from collections.abc import Mapping
from dataclasses import dataclass

Value = str | bool | int | float


@dataclass(frozen=True, slots=True)
class Event:
    """An event. `name` is bare, such as `tool_result`, and `time` in Unix nanoseconds."""

    time: int
    name: str
    session: str
    key: str
    """Identifies the event among all of its name: equal in every copy of the line. Never empty."""
    ids: tuple[str, ...]
    """Ids under which the client itself sends the event; empty when it sends none."""
    version: str
    """The client's."""
    attributes: Mapping[str, Value]
