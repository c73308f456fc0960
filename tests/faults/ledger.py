"""Sent, acknowledged and stored records: every record has an id, and every id is looked up."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

PER_REQUEST = 1000
"""A record's id is its request's number times this, plus its place in the request."""


@dataclass(slots=True)
class Sent:
    """One request: how many records, how often it was sent, and whether that was acknowledged."""

    records: int
    attempts: int = 0
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """A table's rows of one request."""

    rows: int
    ids: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The comparison, in records."""

    sent: int
    acknowledged: int
    stored: int
    lost: int
    """Acknowledged, and not there."""
    twice: int
    """Rows more than there are ids."""
    beyond: int
    """Of those, more than the times that clients sent the request."""

    @property
    def is_kept(self) -> bool:
        """Whether the promises held."""
        return not self.lost and not self.beyond

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(
            self.sent + other.sent,
            self.acknowledged + other.acknowledged,
            self.stored + other.stored,
            self.lost + other.lost,
            self.twice + other.twice,
            self.beyond + other.beyond,
        )


@dataclass(slots=True)
class Ledger:
    """The requests of clients; safe to write from several threads."""

    requests: dict[int, Sent] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, number: int, records: int) -> None:
        """Note that a request is about to be sent, once more perhaps."""
        with self._lock:
            self.requests.setdefault(number, Sent(records)).attempts += 1

    def acknowledge(self, number: int) -> None:
        """Note that a client heard success."""
        self.requests[number].acknowledged = True

    @property
    def acknowledged(self) -> int:
        """The number of requests that were acknowledged so far."""
        return sum(sent.acknowledged for sent in list(self.requests.values()))

    def compare(self, stored: Mapping[int, Stored]) -> Verdict:
        """Compare with what the tables have, by request."""
        lost = twice = beyond = 0
        nothing = Stored(0, 0)
        for number, sent in self.requests.items():
            found = stored.get(number, nothing)
            if sent.acknowledged:
                lost += sent.records - found.ids
            more = found.rows - found.ids
            twice += more
            beyond += max(0, more - (sent.attempts - 1) * sent.records)
        return Verdict(
            sum(sent.records for sent in self.requests.values()),
            sum(sent.records for sent in self.requests.values() if sent.acknowledged),
            sum(stored[number].ids for number in self.requests if number in stored),
            lost,
            twice,
            beyond,
        )
