"""Imports transcripts: reads them, leaves out what the store has and what is too old, and sends.

Events go out a few thousand at a time, so a history of any length takes little memory. What was sent is stored when the
call returns, and nothing but the store remembers what was imported: an interrupted import is run again.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from clickhouse.pricing import Prices, Usage
from onboarding.history.event import Event
from onboarding.history.files import NANOSECONDS, Line, Transcript, lines
from onboarding.history.session import Reader, Taken

BATCH = 5000
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens")

Fresh = Callable[[Sequence[Event]], list[Event]]
"""Returns those events that the store does not have."""


@dataclass(slots=True)
class Summary:
    """What an import read, and what of it is new."""

    files: int = 0
    added: Counter[str] = field(default_factory=Counter)
    """New events, by name."""
    stored: int = 0
    """Events that the store has already."""
    repeated: int = 0
    """Events that a file has from another one, or twice."""
    outside: int = 0
    """Events outside of the period."""
    sessions: set[str] = field(default_factory=set)
    days: set[str] = field(default_factory=set)
    tokens: Counter[str] = field(default_factory=Counter)
    usd: float = 0.0
    unpriced: int = 0
    """New requests whose cost is unknown."""
    unread: Counter[str] = field(default_factory=Counter)
    """What was left out, by reason."""


@dataclass(frozen=True, slots=True)
class Period:
    """The time that is imported, in Unix nanoseconds, without its end."""

    begin: int
    end: int


class Import:
    """One run over a list of transcripts."""

    def __init__(
        self, period: Period, taken: Taken, prices: Prices, fresh: Fresh, now: float, summary: Summary
    ) -> None:
        self.summary = summary
        self._period = period
        self._prices = prices
        self._fresh = fresh
        self._reader = Reader(taken, summary.unread, now)
        self._seen: set[int] = set()

    def batches(
        self, transcripts: Iterable[Transcript], read: Callable[[int], None]
    ) -> Iterator[list[Event]]:
        """Yield the new events, some thousands at a time; `read` is told the bytes as they are read."""
        waiting: list[Event] = []
        for transcript in transcripts:
            self.summary.files += 1
            for event in self._events(transcript, read):
                waiting.append(event)
                if len(waiting) >= BATCH:
                    yield self._new(waiting)
                    waiting = []
        if waiting:
            yield self._new(waiting)

    def _events(self, transcript: Transcript, read: Callable[[int], None]) -> Iterator[Event]:
        def counted() -> Iterator[Line]:
            for line in lines(transcript, self.summary.unread):
                read(line.size)
                yield line

        for event in self._reader.events(transcript, counted(), _agent(transcript.path)):
            mark = hash((event.name, event.key))
            if mark in self._seen:
                self.summary.repeated += 1
                continue
            self._seen.add(mark)
            if not self._period.begin <= event.time < self._period.end:
                self.summary.outside += 1
                continue
            yield event

    def _new(self, events: list[Event]) -> list[Event]:
        new = self._fresh(events)
        summary = self.summary
        summary.stored += len(events) - len(new)
        for event in new:
            summary.added[event.name] += 1
            summary.sessions.add(event.session)
            summary.days.add(f"{datetime.fromtimestamp(event.time / NANOSECONDS, UTC):%Y-%m-%d}")
            if event.name == "api_request":
                for name in TOKENS:
                    summary.tokens[name] += int(event.attributes.get(name, 0))
                usd = self._usd(event)
                summary.unpriced += usd is None
                summary.usd += usd or 0.0
        return new

    def _usd(self, event: Event) -> float | None:
        """Return what the store will work out that a request costs; None when that cannot be known."""
        told = event.attributes
        if "input_tokens" not in told or "output_tokens" not in told:
            return None
        written = int(told.get("cache_creation_tokens", 0))
        usage = Usage(
            int(told["input_tokens"]),
            int(told["output_tokens"]),
            int(told.get("cache_read_tokens", 0)),
            written,
            min(int(told.get("cache_creation_1h_tokens", 0)), written),
        )
        day = datetime.fromtimestamp(event.time / NANOSECONDS, UTC).date()
        return self._prices.usd(str(told["model"]), str(told["speed"]), day, usage)


def period(since: datetime | None, until: datetime | None, retention_days: int, now: datetime) -> Period:
    """Return the period to import: not more than is kept."""
    kept = int((now.timestamp() - retention_days * 86_400) * NANOSECONDS)
    begin = int(since.timestamp() * NANOSECONDS) if since else kept
    end = int(until.timestamp() * NANOSECONDS) if until else 1 << 63
    return Period(max(begin, kept), end)


def _agent(path: Path) -> str:
    """Return the kind of the subagent that wrote a file, from the file beside it; "" when there is none."""
    beside = path.with_suffix(".meta.json")
    try:
        about = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    agent = about.get("agentType") if isinstance(about, dict) else None
    return agent if isinstance(agent, str) else ""
