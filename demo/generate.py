"""Generate demo data: a stream of OTLP requests, and the ledger of their contents.

    plan = Plan(seed=1, sessions=200)
    ledger = Ledger()
    for request in generate(plan, ledger):
        send(request.signal, request.body)

The same plan makes the same bytes. One session is held in memory at a time, and one request for each signal.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final

from demo.content import CONTENT, sent
from demo.irregular import irregular_events, too_old
from demo.ledger import Ledger
from demo.pack import Packer, Request
from demo.schedule import now, visits
from demo.session import play
from demo.world import SERVERS, people

EVENTS_A_SESSION: Final = 96
"""On average, with about as many spans and half as many data points."""
_HOUR: Final = 3_600_000_000_000
_OVERLOAD_HOURS: Final = (52, 66)
"""The API was overloaded this many hours before the end of the period, so that there is an incident to find."""
_OUTAGE_HOURS: Final = 60
"""An MCP server has been down for this many hours."""
_OTHER_MODEL: Final = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """The data to generate: `sessions` processes of `users` people in the `days` days before `until`."""

    seed: int = 1
    sessions: int = 1000
    users: int = 24
    days: int = 60
    until: datetime = field(default_factory=now)
    request_records: int = 500
    """Records in a request."""
    has_irregular: bool = True
    content: frozenset[str] = CONTENT
    """What the clients send besides what they always do, some of `demo.content.CONTENT`."""


def generate(plan: Plan, ledger: Ledger) -> Iterator[Request]:
    """Yield the requests, oldest sessions first, and count their contents in `ledger`."""
    random = Random(plan.seed)
    everyone = people(random, plan.users)
    until = int(plan.until.timestamp()) * 10**9
    packer = Packer(plan.request_records)
    visit = None
    for visit in visits(random, everyone, plan.days, plan.until, plan.sessions):
        own = Random(plan.seed << 32 | visit.number)
        team = visit.person.team
        project = own.choice(team.projects)
        step = own.choice(team.step) if team.step else ""
        before = (until - visit.start) / _HOUR
        other = own.choice(everyone).model
        records = play(
            own,
            visit,
            until,
            model=other if own.random() < _OTHER_MODEL else visit.person.model,
            is_overloaded=_OVERLOAD_HOURS[0] <= before < _OVERLOAD_HOURS[1],
            down=frozenset(SERVERS[:1]) if before < _OUTAGE_HOURS else frozenset(),
        )
        if plan.content != CONTENT:
            records = [sent(record, plan.content) for record in records]
        ledger.processes += 1
        ledger.count(visit, records)
        yield from packer.add(visit, project, step, records)
    if visit and plan.has_irregular:
        irregular = [sent(event, plan.content) for event in irregular_events(visit)]
        ledger.count(visit, irregular)
        ledger.past_retention += 1
        yield from packer.add(visit, visit.person.team.projects[0], "", [*irregular, too_old()])
    yield from packer.rest()


__all__ = ["Ledger", "Plan", "Request", "generate"]
