"""When sessions begin, and for whom: more on workdays, at working hours, a little more each week.

The last day always has sessions, some of them still running at its end, so that the last hour has data too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from demo.world import Person

_WEEKEND: Final = 0.25
_GROWTH: Final = 0.6
_RUNNING: Final = 5
_RESUMED, _PARALLEL = 0.10, 0.02
_DAY: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Visit:
    """One run of the client: several may share a session id, one after the other or at the same time."""

    number: int
    start: int
    """Unix nanoseconds."""
    person: Person
    session_id: str
    start_type: str


def visits(random: Random, people: list[Person], days: int, until: datetime, count: int) -> Iterator[Visit]:
    """Yield `count` visits within `days` days before `until`, day by day and by their start."""
    shares = _shares(days, until)
    latest: dict[str, str] = {}
    number, due = 0, 0.0
    keenness = [person.keenness for person in people]
    for day, share in enumerate(shares):
        due += count * share
        quota = round(due) - number
        drawn = sorted(_starts(random, people, keenness, until - timedelta(days=days - day), quota))
        if day == days - 1:
            drawn = _still_running(random, people, drawn, until)
        for start, index in drawn:
            yield _visit(random, number, start, people[index], latest)
            number += 1


def _shares(days: int, until: datetime) -> list[float]:
    weights = [
        (_WEEKEND if (until - timedelta(days=days - day - 0.5)).weekday() >= 5 else 1)  # noqa: PLR2004  Saturday
        * (1 + _GROWTH * day / days)
        for day in range(days)
    ]
    weights[-1] = max(weights[-1], 1)
    whole = sum(weights)
    return [weight / whole for weight in weights]


def _starts(
    random: Random, people: list[Person], keenness: list[float], begin: datetime, quota: int
) -> Iterator[tuple[int, int]]:
    """Yield starts in the 24 hours after `begin`, in the person's working hours, each with the person's index."""
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    earliest = int(begin.timestamp()) * 10**9
    for index in random.choices(range(len(people)), keenness, k=quota):
        person = people[index]
        hour = random.uniform(0, 24) if person.is_program else random.gauss(random.choice((10, 15)), 1.8)
        start = int((midnight + timedelta(hours=hour - person.utc_offset)).timestamp() * 1000) * 10**6
        yield earliest + (start - earliest) % _DAY, index


def _still_running(
    random: Random, people: list[Person], drawn: list[tuple[int, int]], until: datetime
) -> list[tuple[int, int]]:
    """Move some of the last day's sessions to the last hour."""
    end = int(until.timestamp()) * 10**9
    moved = min(len(drawn), _RUNNING + len(drawn) // 20)
    late = [
        (end - random.randrange(3 * 60_000, 55 * 60_000) * 10**6, random.randrange(len(people)))
        for _ in range(moved)
    ]
    return sorted(drawn[: len(drawn) - moved] + late)


def _visit(random: Random, number: int, start: int, person: Person, latest: dict[str, str]) -> Visit:
    before = latest.get(person.name)
    drawn = random.random()
    if before and drawn < _RESUMED:
        return Visit(number, start, person, before, "resume" if drawn < _RESUMED / 2 else "continue")
    if before and drawn < _RESUMED + _PARALLEL:
        return Visit(number, start, person, before, "fresh")
    latest[person.name] = session_id = str(UUID(int=random.getrandbits(128), version=4))
    return Visit(number, start, person, session_id, "fresh")


def now() -> datetime:
    """Return the present time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
