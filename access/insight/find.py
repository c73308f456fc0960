"""The whole way to the findings of a period: read the series, find what changed, whose it is, and what it cost.

Each series is compared with its own usual, in the four weeks before the period and in the period itself before it
changed. Less than a week of history is said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from access.ids import whole_in
from access.insight.causes import Incident, Known, incidents
from access.insight.change import CERTAIN, Change, at_the_hour, by_the_clock, changed
from access.insight.costs import Cost, cost, detail
from access.insight.finding import Block, Finding, Insight
from access.insight.firsts import firsts
from access.insight.people import People, people, shared
from access.insight.series import (
    ALL,
    DAY,
    EVERYONE,
    HOUR,
    MEANS,
    Measure,
    Part,
    Scope,
    Series,
    Step,
    read,
    seconds,
    summed,
    total,
)
from access.insight.sessions import sessions
from access.insight.silence import clocks, silence
from access.insight.usual import usual
from access.insight.words import advice, check, reason, title, who
from access.query import Streams
from access.text import visible
from access.times import whole_hours

_HISTORY: Final = timedelta(days=28)
_BY_THE_HOUR: Final = timedelta(days=21)
_ODD: Final = 5.0
"""A rough look leaves out what is less; a change needs more than this."""
_MAYBE: Final = 3.0
"""So certain a change has to be for everyone, for those who share a label to be looked at: they may be few of all."""
_WEEK: Final = 7
_MOST: Final = 12
"""Incidents whose cost is worked out."""
_USD: Final = 0.25
_MINUTES: Final = 1.0
_TIMES: Final = 5
"""What costs less, and happened less often, is nothing to read."""
_COUNTED: Final = frozenset(
    {Measure.API, Measure.REFUSALS, Measure.CONNECTION, Measure.TOOL_FAILS, Measure.HOOK_FAILS}
)
_LONG: Final = 80
_COMMANDS: Final = {
    Measure.CONNECTION: "mcp_connections",
    Measure.LOOPS: "waste",
    Measure.API: "api_errors",
    Measure.MODEL: "cost_by -p by=model",
    Measure.AGENT_COST: "subagents",
    Measure.ANSWERS: "cost_by -p by=model",
    Measure.SUBAGENTS: "subagents",
    Measure.COMPACTIONS: "compactions",
    Measure.CACHE: "cache -p by=user",
    Measure.REFUSALS: "decisions",
    Measure.HOOK_FAILS: "hooks",
    Measure.HOOK_BLOCKS: "hooks",
    Measure.HOOK_TIME: "hooks",
    Measure.TOOL_TIME: "tools",
    Measure.TOOL_FAILS: "tool_errors",
    Measure.FIRST_TOKEN: "latency",
    Measure.REQUEST_TIME: "latency",
    Measure.WAIT: "permission_wait",
    Measure.RETRIES: "retries",
}


def find(
    store: Streams,
    since: datetime,
    until: datetime,
    part: Part = ALL,
    now: datetime | None = None,
) -> Insight:
    """Return what stands out in a period, of one team, user or project where given.

    The period is that of the questions: its whole hours. Raises Ambiguous for a short form of several users, and what
    the store raises.
    """
    since, until = whole_hours(since, until)
    part = replace(part, user=whole_in(store, "user", part.user))
    history = since - _HISTORY
    everybody = people(store, history, until, part)
    begin, end = int(since.timestamp()), int(until.timestamp())
    known, changes = _changes(store, history, until, part, begin, shared(everybody))
    changes += _of_versions(known, changes, begin, end)
    found = sorted(incidents(changes, known, everybody), key=lambda one: -one.change.deviance)[:_MOST]
    about = {"to": seconds(until), **part.values}
    timed = _timed(store, found, part, until)
    costly = [
        one for incident in timed if (one := _finding(store, incident, everybody, about, history, until))
    ]
    costly = sessions(store, (history, since, until), part, everybody, costly)
    secure, notes = firsts(store, history, since, until, part, everybody, _busier(known, begin))
    quiet = silence(everybody, since, until, _usd_a_day(known))
    present = max(now or datetime.now(UTC), until)
    quiet += clocks(store, (history, since, until), present, part, everybody)
    return Insight(
        (*sorted(costly, key=lambda one: -one.weight), *secure, *quiet),
        usual(store, since, until, part),
        (*_history(everybody, begin), *notes),
    )


def _changes(
    store: Streams,
    history: datetime,
    until: datetime,
    part: Part,
    begin: int,
    labels: Mapping[Scope, Sequence[str]],
) -> tuple[dict[tuple[Measure, str], dict[Scope, Series]], list[Change]]:
    """Return all series that matter, and what changed among them.

    What is odd is read first; then, of the few things that changed, or that may have changed for some of those who
    share a label, the series of all, to see whose it is.
    """
    end = int(until.timestamp())
    known: dict[tuple[Measure, str], dict[Scope, Series]] = {}
    for series in read(store, history, until, part, odd=_ODD):
        known.setdefault((series.measure, series.thing), {})[series.scope] = series
    things = [
        thing
        for thing, alike in known.items()
        if any(
            changed(series, begin, end, least=_MAYBE if labels and series.scope == EVERYONE else CERTAIN)
            for series in alike.values()
        )
    ]
    if not things:
        return known, []
    changes = []
    for series in read(store, history, until, part, only=things):
        known[series.measure, series.thing][series.scope] = series
        if (change := changed(series, begin, end)) is not None:
            changes.append(change)
    for thing in things:
        for series in _labelled(known[thing], labels):
            known[thing][series.scope] = series
            if (change := changed(series, begin, end)) is not None:
                changes.append(change)
    return known, changes


def _labelled(alike: Mapping[Scope, Series], labels: Mapping[Scope, Sequence[str]]) -> list[Series]:
    """Return the series of labels that people share, the sums of theirs: one for all labels of the same people."""
    same: dict[tuple[Scope, ...], list[Scope]] = {}
    for label, users in labels.items():
        theirs = tuple(scope for user in users if (scope := Scope("user", user)) in alike)
        if len(theirs) > 1:
            same.setdefault(theirs, []).append(label)
    return [summed(scopes, [alike[one] for one in theirs]) for theirs, scopes in same.items()]


def _of_versions(known: Known, changes: Sequence[Change], begin: int, end: int) -> list[Change]:
    """Return the changes of versions that came when something changed, compared with the others."""
    found = []
    for measure, thing in dict.fromkeys((change.measure, change.series.thing) for change in changes):
        alike = known[measure, thing]
        whole = alike.get(EVERYONE)
        first = whole.steps[0].begin if whole else 0
        for scope, series in alike.items():
            if whole is None or scope.dimension != "version" or series.steps[0].begin < first + 3 * DAY:
                continue
            usual = _less(whole.steps, series.steps)
            change = changed(series, begin, end, usual) if usual else None
            if change is not None and any(_is_near(change, one) for one in changes if one.measure is measure):
                found.append(change)
    return found


def _is_near(one: Change, other: Change) -> bool:
    return abs(one.begin - other.begin) <= 2 * DAY


def _less(whole: Sequence[Step], part: Sequence[Step]) -> list[Step]:
    """Return the steps of a whole without those of a part."""
    parts = {step.begin: step for step in part}
    rest = []
    for step in whole:
        less = parts.get(step.begin)
        if less is None:
            rest.append(step)
        elif step.n > less.n:
            rest.append(
                Step(
                    step.begin,
                    step.n - less.n,
                    step.k - less.k,
                    step.x - less.x,
                    max(0.0, step.xx - less.xx),
                    step.ms - less.ms,
                    step.usd - less.usd,
                )
            )
    return rest


def _finding(
    store: Streams,
    incident: Incident,
    everybody: People,
    about: dict[str, str],
    history: datetime,
    until: datetime,
) -> Finding | None:
    """Return an incident as a finding, None when it costs next to nothing."""
    change = incident.change
    scope = change.series.scope
    since = datetime.fromtimestamp(change.begin, UTC)
    ended = None if change.end is None else datetime.fromtimestamp(change.end, UTC)
    values = about | {"from": seconds(since), "to": seconds(ended or until)}
    events = detail(store, change, values)
    spent = cost(store, change, events, values, seconds(history))
    if not _is_worth(change, spent):
        return None
    users = [name for name, _ in events.users if name in incident.users] or sorted(incident.users)
    teams = [name for name, _ in events.teams if name]
    given: dict[str, Any] = {
        "block": Block.COST,
        "kind": change.measure.value,
        "thing": visible(change.series.thing, _LONG),
        "scope": scope,
        "users": tuple(users),
        "teams": tuple(teams),
        "since": since,
        "until": ended,
        "times": change.inside.n if change.measure in MEANS else change.inside.k,
        "now": change.now,
        "before": change.before,
        "usd": spent.usd,
        "minutes": spent.minutes,
        "title": title(change),
        "who": who(scope, users, teams, everybody, change.series.also),
        "reason": reason(change, since, ended),
        "worked_out": spent.worked_out,
        "advice": advice(change),
        "check": check(change),
        "sessions": tuple(name for name, _ in events.sessions if name),
        "command": _COMMANDS.get(change.measure, "sessions"),
        "shapes": tuple((visible(shape, 2 * _LONG), count) for shape, count in events.shapes if shape),
        "consequences": tuple(dict.fromkeys(title(one) for one in incident.consequences)),
    }
    return Finding(**given)


def _timed(store: Streams, found: Sequence[Incident], part: Part, until: datetime) -> list[Incident]:
    """Return incidents with the hours in which they began, from one reading by the hour."""
    if not found:
        return []
    begin = datetime.fromtimestamp(min(one.change.begin for one in found) - 5 * DAY, UTC)
    things = [(one.change.measure, one.change.series.thing) for one in found]
    span = max(begin, until - _BY_THE_HOUR), until, part
    known: dict[tuple[Measure, str], dict[Scope, Series]] = {}
    for one in read(store, *span, bucket=HOUR, only=things):
        known.setdefault((one.measure, one.thing), {})[one.scope] = one
    return [
        replace(
            one,
            change=_at_the_hour(one.change, _hours(one.change.series, known)),
        )
        for one in found
    ]


def _hours(series: Series, known: Known) -> Sequence[Step]:
    """Return a series by the hour."""
    alike = known.get((series.measure, series.thing), {})
    theirs = _labelled(alike, {series.scope: series.users}) if series.users else [alike.get(series.scope)]
    return theirs[0].steps if theirs and theirs[0] else ()


def _at_the_hour(change: Change, hours: Sequence[Step]) -> Change:
    """Return a change by the hour, without what the hours before it had, which were as usual."""
    timed = at_the_hour(change, hours)
    lost = total([step for step in hours if change.begin <= step.begin < timed.begin])
    gained = total([step for step in hours if timed.begin <= step.begin < change.begin])
    inside = change.inside + gained - lost
    timed = replace(timed, clock=by_the_clock(timed, hours))
    return replace(timed, inside=inside) if inside.n > 0 else timed


def _is_worth(change: Change, spent: Cost) -> bool:
    if spent.usd >= _USD or spent.minutes >= _MINUTES:
        return spent.usd + spent.minutes > 0
    return change.measure in _COUNTED and change.excess >= _TIMES


def _usd_a_day(known: Known) -> dict[str, float]:
    """Return what each user's requests cost on a day with any."""
    return {
        scope.value: sum(step.usd for step in series.steps) / len(series.steps)
        for scope, series in known.get((Measure.REQUESTS, ""), {}).items()
        if scope.dimension == "user" and series.steps
    }


def _busier(known: Known, begin: int) -> float:
    """Return how many times as many prompts a day the period has as what was before it; at least 1."""
    whole = known.get((Measure.REQUESTS, ""), {}).get(EVERYONE)
    steps = whole.steps if whole else ()
    sides = [[step.n for step in steps if (step.begin >= begin) is is_inside] for is_inside in (True, False)]
    now, before = (sum(some) / len(some) if some else 0.0 for some in sides)
    return max(1.0, now / before) if before else 1.0


def _history(everybody: People, begin: int) -> list[str]:
    days = {day for person in everybody.values() for day in person.days if day < begin}
    if len(days) >= _WEEK - 2:
        return []
    return [
        f"Days with events before this period: {len(days)}. A week of them shows what is usual; before, less is found."
    ]
