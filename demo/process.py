"""One running process of the client: its clock, its counters, and the records that it has sent so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Final
from uuid import UUID

from demo.counters import Counters
from demo.records import Event, Record, Span, SpanEvent, Value
from demo.schedule import Visit
from demo.world import Model, Person

MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000 * MILLISECOND


class TimeUpError(Exception):
    """The present is reached, and later records have not happened yet."""


@dataclass(slots=True)
class Process:
    """State that the parts of a session share. Sending a record after `until` raises TimeUpError."""

    random: Random
    visit: Visit
    until: int
    """Unix nanoseconds."""
    model: Model
    is_overloaded: bool
    """Whether the API is overloaded during this session."""
    down: frozenset[str]
    """MCP servers that do not answer."""
    clock: int = 0
    sequence: int = 0
    context: int = 0
    """Tokens of the conversation."""
    cached_at: int = 0
    """When the cache was used last."""
    trace_id: bytes = b""
    interaction_id: bytes = b""
    prompt_id: str = ""
    records: list[Record] = field(default_factory=list)
    counters: Counters = field(init=False)

    def __post_init__(self) -> None:
        """Start the clock and the counters."""
        self.clock = self.visit.start
        self.counters = Counters(self.clock, is_cumulative=self.person.is_cumulative)

    @property
    def person(self) -> Person:
        """The person who runs the process."""
        return self.visit.person

    def event(self, name: str, attributes: Mapping[str, Value], span_id: bytes | None = None) -> None:
        """Send an event now, with the attributes that the client puts on each."""
        clock = self.clock
        if clock > self.until:
            raise TimeUpError
        whole: dict[str, Value] = {
            "event.name": name,
            "event.timestamp": _iso(clock),
            "event.sequence": self.sequence,
        }
        if self.prompt_id:
            whole["prompt.id"] = self.prompt_id
        whole.update(attributes)
        self.sequence += 1
        self.records.append(Event(clock, name, whole, self.trace_id, span_id or self.interaction_id))

    def span(
        self,
        name: str,
        span_id: bytes,
        parent_id: bytes,
        start: int,
        attributes: Mapping[str, Value],
        error: str | None = None,
        events: tuple[SpanEvent, ...] = (),
    ) -> None:
        """Send a span that began at `start` and ends now."""
        if self.clock > self.until:
            raise TimeUpError
        whole: dict[str, Value] = {"span.type": name}
        whole.update(attributes)
        self.records.append(
            Span(name, self.trace_id, span_id, parent_id, start, self.clock, whole, error, events)
        )

    def wait(self, milliseconds: float) -> None:
        """Advance the clock."""
        self.clock += int(milliseconds) * MILLISECOND

    def chance(self, probability: float) -> bool:
        """Whether an event of this probability happens."""
        return self.random.random() < probability

    def lognormal_ms(self, median: float, spread: float) -> int:
        """Return a random duration in milliseconds, at least 1."""
        return max(1, int(median * self.random.lognormvariate(0, spread)))

    def span_id(self) -> bytes:
        """Return a random id for a span."""
        return self.random.getrandbits(64).to_bytes(8) or b"\1" * 8

    def name(self, kind: str) -> str:
        """Return a random id of a request or a call, which another demo of the same seed does not use."""
        return f"{kind}_{self.random.getrandbits(96) ^ self.until:024x}"

    def uuid(self) -> str:
        """Return a random UUID."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def export(self) -> None:
        """Send the data points of the counters."""
        self.records.extend(self.counters.export(min(self.clock, self.until)))


def _iso(time: int) -> str:
    seconds, rest = divmod(time, SECOND)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // MILLISECOND:03d}Z"
