"""What a question needs the client to send, and whether it is collected: an empty answer says why it is empty.

A question names its needs in its header. What is missing in the period is told by a sentence with the switch of the
client and the command that sets it. What is there is known from the data alone, since the clients run elsewhere.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from access import records

Ask = Callable[[str, Mapping[str, str]], Sequence[Sequence[Any]]]
"""Returns the rows of a statement, with these values bound."""
_DAYS: Final = timedelta(days=30)
_ENOUGH: Final = 0.9
"""Each tool call has its details where they are sent: below this share some clients do not."""
_SQL: Final = Path(__file__).parent / "sql"


@dataclass(frozen=True, slots=True)
class Need:
    """Something that the client sends when it is told to."""

    switch: str
    command: str
    lacks: str
    """What is not known without it."""
    sent: str
    """What shows that it is sent: the statement `sql/sent_….sql` looks for it."""
    possible: tuple[str, ...] = ()
    """What it would come with: without these, nothing happened. Of what it is a part of, its own statement knows."""

    @property
    def sentence(self) -> str:
        """What to do, in the words that every answer, the report and the doctor use."""
        return f"needs {self.switch}: {self.command}"


EVENTS: Final = "events"
TOOL_DETAILS: Final = "tool-details"
NEEDS: Final[Mapping[str, Need]] = {
    EVENTS: Need(
        "CLAUDE_CODE_ENABLE_TELEMETRY=1 and OTEL_LOGS_EXPORTER=otlp", "telemetry setup",
        "requests, tool calls and errors", "events", ("spans", "points"),
    ),
    "metrics": Need(
        "OTEL_METRICS_EXPORTER=otlp", "telemetry setup",
        "commits, pull requests, lines of code, active time", "points", ("events", "spans"),
    ),
    "traces": Need(
        "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 and OTEL_TRACES_EXPORTER=otlp", "telemetry setup",
        "steps of a prompt, requests that were tried again, the time to the first token, waits for permission", "spans",
        ("events", "points"),
    ),
    TOOL_DETAILS: Need(
        "OTEL_LOG_TOOL_DETAILS=1", "telemetry setup --content tool-details",
        "the texts of errors, programs, repeated calls, names of MCP servers", "details",
    ),
}  # fmt: skip
"""By name. What the client sends by default is a need too: a fleet may have turned it off."""


@dataclass(frozen=True, slots=True)
class Lack:
    """A need that is not met: nothing of it was sent, or little of what could have it."""

    need: Need
    sent: int
    possible: int

    @property
    def sentence(self) -> str:
        """What is not known, and how to have it collected."""
        part = f" sent with {self.sent:,} of {self.possible:,} tool calls;" if self.sent else ""
        return f"{self.need.lacks[:1].upper()}{self.need.lacks[1:]}:{part} {self.need.sentence}"


def bounds(values: Mapping[str, str]) -> dict[str, str]:
    """Return the period of a question's values, `from` and `to`; the last thirty days for one without."""
    now = datetime.now(UTC)
    period = {"from": f"{now - _DAYS:%Y-%m-%d %H:%M:%S}", "to": f"{now:%Y-%m-%d %H:%M:%S}"}
    return {name: values.get(name, usual) for name, usual in period.items()}


def lacking(needs: Iterable[str], values: Mapping[str, str], ask: Ask) -> list[Lack]:
    """Return the needs that are not met, though they could be, in a period, by a team or a user, or in a session.

    `values` are those of a question, of which `from`, `to`, `team`, `user` and `session` count; without a period or a
    session, the last thirty days do. What `ask` raises is passed on.
    """

    def found(name: str, bound: Mapping[str, str]) -> Sequence[Sequence[Any]]:
        sql = (_SQL / f"{name}.sql").read_text(encoding="utf-8")
        return ask(records.real(sql, is_choice=False), bound)

    about = bounds(values) | {name: values.get(name, "") for name in ("team", "user", "session")}
    if "session" in values:
        for session in found("session_period", {"session": about["session"]}):
            about |= dict(zip(("session", "from", "to"), map(str, session), strict=True))

    @functools.cache
    def count(what: str) -> Sequence[int]:
        (row,) = found(f"sent_{what}", about)
        return tuple(map(int, row))

    asked = tuple(needs)
    # A tool call is an event.
    has_events = TOOL_DETAILS in asked and count(NEEDS[TOOL_DETAILS].sent)[1] > 0
    is_part = bool(about["team"] or about["user"])
    lacks = (
        _lack(NEEDS[name], count, is_part=is_part) for name in asked if not (name == EVENTS and has_events)
    )
    return [lack for lack in lacks if lack is not None]


def _lack(need: Need, count: Callable[[str], Sequence[int]], *, is_part: bool) -> Lack | None:
    """Return the lack of a need, None where it is met. What it comes with is looked for only where it was not sent."""
    sent, *whole = count(need.sent)
    if whole:
        possible = whole[0]
        return Lack(need, sent, possible) if sent <= _ENOUGH * possible and sent < possible else None
    # Data points are counted whole: of one team or user they say nothing.
    beside = (one for one in need.possible if not (is_part and one == "points"))
    return Lack(need, 0, 1) if not sent and any(count(one)[0] for one in beside) else None
