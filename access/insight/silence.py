"""Who stopped sending, and whose clock is wrong.

A team or a person who works most days stopped when they are silent for longer than chance allows.

Days on which few of the others worked are no days: holidays are not silence. Silence is missing data, not a saving.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from access.ids import alias
from access.insight.finding import Block, Finding
from access.insight.people import People, Person
from access.insight.series import DAY, Part, Scope, answer, seconds
from access.insight.words import who
from access.query import Streams
from access.text import visible

_RARE: Final = 1e-3
_FEWEST: Final = 4
"""Days that somebody worked, before silence means anything."""
_DAYS: Final = 3
"""A person may be away for less."""
_ABOUT: Final = 0.3
"""Of those who are usually there, so many have to be, for a day to count."""
_SATURDAY: Final = 5
_LONG: Final = 80


def silence(
    everybody: People, since: datetime, until: datetime, usd_a_day: dict[str, float]
) -> list[Finding]:
    """Return teams, and people of other teams, who stopped sending in the period."""
    if not everybody:
        return []
    last = min(int(until.timestamp()), max(person.newest for person in everybody.values()) + 1)
    days = _working(everybody, last)
    quiet: list[Finding] = []
    told: set[str] = set()
    for team in sorted({team for person in everybody.values() for team in person.teams if team}):
        crew = [
            person for person in everybody.values() if team in person.teams and len(person.days) >= _FEWEST
        ]
        if len(crew) < 2 or len(crew) == len(everybody):  # noqa: PLR2004
            continue
        newest = max(person.newest for person in crew)
        missed = [day for day in days if day > newest]
        chance = 1.0
        for person in crew:
            chance *= _away(person, days) ** len(missed)
        if missed and chance < _RARE and newest >= since.timestamp() - DAY:
            told |= {person.user for person in crew}
            quiet.append(_finding(Scope("team", team), crew, newest, len(missed), usd_a_day))
    for person in everybody.values():
        missed = [day for day in days if day > person.newest]
        if person.user in told or len(person.days) < _FEWEST or len(missed) < _DAYS:
            continue
        if _away(person, days) ** len(missed) < _RARE and person.newest >= since.timestamp() - DAY:
            quiet.append(
                _finding(Scope("user", person.user), [person], person.newest, len(missed), usd_a_day)
            )
    return quiet


def clocks(
    store: Streams,
    times: tuple[datetime, datetime, datetime],
    now: datetime,
    part: Part,
    everybody: People,
) -> list[Finding]:
    """Return machines whose events are later than their arrival, or steadily earlier. Raises Refusal.

    `times` are when the history and the period begin, and when the period ends: an event counts when it arrives in it.
    """
    values = {**dict(zip(("history", "from", "to"), map(seconds, times), strict=True)), **part.values}
    rows = answer(store, "insight_clocks", values | {"now": seconds(now)}).dicts()
    return [_wrong_clock(row, now, everybody) for row in rows]


def _wrong_clock(row: dict[str, Any], now: datetime, everybody: People) -> Finding:
    since, newest = (datetime.fromtimestamp(row[name], UTC) for name in ("since", "newest"))
    hours = row["seconds"] / 3600
    scope = Scope("user", row["user"])
    teams = (row["team"],) if row["team"] else ()
    machine = f", machine {visible(row['host'], _LONG)}" if row["host"] else ""
    events = f"{row['events']:,} events"
    if row["is_ahead"]:
        title = "A clock is ahead"
        reason = f"{events} are later than their arrival, up to {hours:,.1f} hours"
        reason += "; some are of the future, and in no sum until now." if newest > now else "."
        worked_out = "the requests among them, which count at a later time than theirs"
    else:
        title = "A clock is behind"
        reason = f"{events} arrived up to {hours:,.1f} hours after their own time, whole sessions by as much."
        worked_out = "the requests among them, which count at an earlier time than theirs"
    values: dict[str, Any] = {
        "block": Block.DATA,
        "kind": "clock",
        "thing": "ahead" if row["is_ahead"] else "behind",
        "scope": scope,
        "users": (row["user"],),
        "teams": teams,
        "since": since,
        "until": None,
        "times": float(row["events"]),
        "now": hours,
        "before": 0.0,
        "usd": row["usd"],
        "minutes": 0.0,
        "title": title,
        "who": who(scope, [row["user"]], teams, everybody) + machine,
        "reason": reason,
        "worked_out": worked_out,
        "advice": "Set the clock of that machine by the network's time.",
        "check": "Repaired when new events are as old as their way is long: telemetry query data_quality.",
        "sessions": tuple(row["sessions"]),
        "command": "data_quality",
    }
    return Finding(**values)


def _working(everybody: People, last: int) -> list[int]:
    """Return the midnights of the weekdays on which at least some of those who were usually there were."""
    counts: dict[int, int] = {}
    for person in everybody.values():
        for day in person.days:
            counts[day] = counts.get(day, 0) + 1
    busy = sorted(count for day, count in counts.items() if _is_weekday(day))
    usual = busy[len(busy) // 2] if busy else 0
    # The last day has just begun for some.
    return sorted(
        day
        for day, count in counts.items()
        if _is_weekday(day) and count >= _ABOUT * usual and day + DAY * 0.6 < last
    )


def _is_weekday(day: int) -> bool:
    return datetime.fromtimestamp(day, UTC).weekday() < _SATURDAY


def _away(person: Person, days: Sequence[int]) -> float:
    """Return the chance that somebody is away on a working day, from those between their first and newest."""
    mine = set(person.days)
    some = [day for day in days if person.days[0] <= day <= person.newest]
    there = sum(day in mine for day in some)
    return 1 - (there + 0.5) / (len(some) + 1)


def _finding(
    scope: Scope, crew: Sequence[Person], newest: int, missed: int, usd_a_day: dict[str, float]
) -> Finding:
    since = datetime.fromtimestamp(newest, UTC)
    usd = sum(usd_a_day.get(person.user, 0.0) for person in crew)
    users = [person.user for person in crew]
    teams = sorted({team for person in crew for team in person.teams if team})
    whose = f"Team {visible(scope.value)}" if scope.dimension == "team" else visible(alias(scope.value))
    named = ", ".join(visible(alias(user)) for user in users[:5])
    values: dict[str, Any] = {
        "block": Block.DATA,
        "kind": "silence",
        "thing": "",
        "scope": scope,
        "users": tuple(users),
        "teams": tuple(teams),
        "since": since,
        "until": None,
        "times": float(missed),
        "now": 0.0,
        "before": None,
        "usd": 0.0,
        "minutes": 0.0,
        "title": f"{whose} stopped sending",
        "who": f"team {visible(scope.value)}: {named}"
        if scope.dimension == "team"
        else f"user {named}{', team ' + visible(teams[0]) if teams else ''}",
        "reason": f"Nothing since {since + timedelta(0):%Y-%m-%d %H:%M} UTC, on {missed} days on which others worked."
        f" Totals and comparisons lack their work, usually ${usd:,.2f} a day: that is missing data, not a saving.",
        "worked_out": "",
        "advice": "Run telemetry doctor on one of their machines: settings, token, address, proxy.",
        "check": "Repaired when their events arrive: telemetry query freshness.",
        "sessions": (),
        "command": "gaps",
    }
    return Finding(**values)
