"""Generates demo data: a stream of OTLP requests and the ledger of what is in them.

    plan = Plan(seed=1, sessions=200)
    ledger = Ledger()
    for request in generate(plan, ledger):
        send(request.signal, request.body)

The same plan gives the same bytes. One session is held in memory at a time, and one request for each signal.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final

from demo.ledger import Ledger
from demo.odd import odd, too_old
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
"""An MCP server has been down for so long."""
_OTHER_MODEL: Final = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What to generate: `sessions` processes of `users` people in the `days` days before `until`."""

    seed: int = 1
    sessions: int = 1000
    users: int = 24
    days: int = 60
    until: datetime = field(default_factory=now)
    request_records: int = 500
    """Records in a request."""
    has_oddities: bool = True


def generate(plan: Plan, ledger: Ledger) -> Iterator[Request]:
    """Yield the requests, oldest sessions first, and count into `ledger` what they hold."""
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
        ledger.processes += 1
        ledger.count(visit, records)
        yield from packer.add(visit, project, step, records)
    if visit and plan.has_oddities:
        oddities = odd(visit)
        ledger.count(visit, oddities)
        ledger.past_retention += 1
        yield from packer.add(visit, visit.person.team.projects[0], "", [*oddities, too_old()])
    yield from packer.rest()


__all__ = ["Ledger", "Plan", "Request", "generate"]
