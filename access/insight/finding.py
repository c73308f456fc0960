"""A finding: what changed for the worse, for whom, since when, and what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from access.insight.series import Scope


class Block(StrEnum):
    """Where a finding stands: what costs is ranked; the others are named whatever their count."""

    COST = "cost"
    SECURITY = "security"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Finding:
    """One incident. Texts of telemetry are visible ones; `users` are as stored."""

    block: Block
    kind: str
    """The measure, or what is expected never to happen."""
    thing: str
    """The tool, program, status, server, hook or model that it is about."""
    scope: Scope
    users: tuple[str, ...]
    """Whom it happened to, those with the most first."""
    teams: tuple[str, ...]
    since: datetime
    until: datetime | None
    """None: it goes on."""
    times: float
    """How often it happened since."""
    now: float | None
    before: float | None
    usd: float
    minutes: float
    title: str
    who: str
    reason: str
    worked_out: str
    """How dollars and minutes were found."""
    advice: str
    check: str
    """How to see that the repair worked."""
    sessions: tuple[str, ...]
    command: str
    """The arguments of `telemetry query` that show more."""
    shapes: tuple[tuple[str, int], ...] = ()
    """The most frequent messages, by what they have in common."""
    consequences: tuple[str, ...] = ()
    """What else changed because of it."""

    @property
    def weight(self) -> float:
        """Return the rank: a minute of a person's time counts as a dollar."""
        return self.usd + self.minutes


@dataclass(frozen=True, slots=True)
class Usual:
    """Something that happens often, whether or not it changed."""

    title: str
    times: float
    before: float | None
    """In the period of the same length before; None where nothing was recorded then."""
    reason: str
    advice: str
    command: str
    """The arguments of `telemetry query` that show more."""


@dataclass(frozen=True, slots=True)
class Insight:
    """All that was found in a period."""

    findings: Sequence[Finding]
    """In the order in which they are to be read: by cost, then security, then the data."""
    always: Sequence[Usual]
    notes: Sequence[str]
    """What the findings cannot say, such as that there is too little history."""

    def of(self, block: Block) -> list[Finding]:
        """Return the findings of a block."""
        return [one for one in self.findings if one.block is block]
