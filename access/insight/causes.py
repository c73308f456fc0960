"""One incident out of many changes: the best scope for each measure, and what is only a consequence.

A tool that fails for a team fails for its people, its project and, less clearly, for everyone; requests become more and
dearer. Of the changes of one measure the scope that explains most is kept; then causes take their consequences, which
are about the same people and began at about the same time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from access.insight.change import Change, expected, gain, matters, misfit, plain, within, without
from access.insight.people import People, members
from access.insight.series import DAY, EVERYONE, MEANS, Measure, Scope, Series, Sum

_ORDER: Final = (
    Measure.CONNECTION,
    Measure.LOOPS,
    Measure.TOOL_FAILS,
    Measure.HOOK_FAILS,
    Measure.HOOK_BLOCKS,
    Measure.API,
    Measure.MODEL,
    Measure.SUBAGENTS,
    Measure.COMPACTIONS,
    Measure.CACHE,
    Measure.AGENT_COST,
    Measure.ANSWERS,
    Measure.REFUSALS,
    Measure.HOOK_TIME,
    Measure.TOOL_TIME,
    Measure.RETRIES,
    Measure.FIRST_TOKEN,
    Measure.WAIT,
    Measure.REQUEST_TIME,
    Measure.REQUESTS,
    Measure.REQUEST_COST,
)
"""Causes before their consequences."""
_FAVOUR: Final = {"everyone": 6.0, "team": 4.0, "user": 0.0, "project": -2.0, "model": -2.0, "version": -2.0}
"""Of scopes that explain about as much, the one that a person can act on."""
_LABEL: Final = -4.0
"""That of a label that people share: there are many, and some fit by chance."""
_NEW_VERSION: Final = 1.15
"""A version that came when the trouble came is its cause, where it explains nearly as much."""
_OWN: Final = 0.5
"""So much of a change has to be there in people's own comparison: else other people were at work."""
_ALL: Final = 0.95
_CHOSEN: Final = frozenset({Measure.MODEL, Measure.REQUEST_COST})
"""What people choose: a version or a project whose people change has another share of it."""
_PARTS: Final = 4.0
"""The misfit that each part of a scope may have by chance, and since people differ."""
_NEAR: Final = 2 * DAY
_LOOPS: Final = 0.6
"""Of the failures of a tool, this many are the same call again: what fails is a loop."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A change with its consequences."""

    change: Change
    consequences: tuple[Change, ...]
    users: frozenset[str]


Known = Mapping[tuple[Measure, str], Mapping[Scope, Series]]
"""All series, by what they measure."""


def incidents(changes: Iterable[Change], known: Known, everybody: People) -> list[Incident]:
    """Return incidents, causes before consequences."""
    by_measure: dict[Measure, list[tuple[float, Change]]] = {}
    found_changes = [*changes]
    for change in (*found_changes, *_of_one(found_changes, known)):
        if _is_composition(change, known, everybody):
            continue
        by_measure.setdefault(change.measure, []).append((_weight(change, known, everybody), change))
    kept: list[Change] = []
    for some in by_measure.values():
        kept += _best(some, everybody)
    found: list[Incident] = []
    for change in sorted(kept, key=lambda one: (_place(one, kept), -one.deviance)):
        users = members(everybody, change.series.scope)
        for place, earlier in enumerate(found):
            if _is_one(earlier.change, change, earlier.users, users):
                found[place] = Incident(earlier.change, (*earlier.consequences, change), earlier.users)
                break
        else:
            found.append(Incident(change, (), users))
    return found


def _of_one(changes: Sequence[Change], known: Known) -> list[Change]:
    """Return changes of people who have all of a change, and had too few attempts before to have one of their own."""
    have = {(change.measure, change.series.thing, change.series.scope) for change in changes}
    found = []
    for change in changes:
        if change.measure in MEANS or change.series.scope.dimension == "user":
            continue
        measure, thing = change.measure, change.series.thing
        for scope, series in known[measure, thing].items():
            inside = within(change, series)
            if scope.dimension != "user" or inside.k < _ALL * change.inside.k:
                continue
            if (measure, thing, scope) not in have:
                have.add((measure, thing, scope))
                usual = without(change, series)
                if not usual.n or matters(measure, inside, usual):
                    own = usual if usual.n else change.usual
                    found.append(
                        replace(change, series=series, inside=inside, usual=own, is_of_its_own=False)
                    )
    return found


def _place(change: Change, all_: Sequence[Change]) -> float:
    place = float(_ORDER.index(change.measure))
    if change.measure is not Measure.LOOPS:
        return place
    failures = max((one.excess for one in all_ if one.measure is Measure.TOOL_FAILS), default=0.0)
    return place if change.excess >= _LOOPS * failures else place + 1.5


def _best(changes: Sequence[tuple[float, Change]], everybody: People) -> list[Change]:
    """Return the changes of one measure without those that say the same of other scopes or things."""
    kept: list[tuple[Change, frozenset[str]]] = []
    for _, change in sorted(changes, key=lambda one: -one[0]):
        users = members(everybody, change.series.scope)
        if not any(_is_one(earlier, change, known, users) for earlier, known in kept):
            kept.append((change, users))
    return [change for change, _ in kept]


def _weight(change: Change, known: Known, everybody: People) -> float:
    """Return how much a change explains, less what its parts differ from it: it is not about all of them, then."""
    scope = change.series.scope
    alike = known[change.measure, change.series.thing]
    ways = [("user", everybody)] if scope.dimension != "user" else []
    worst = 0.0
    for way, some in ways:
        mine = [Scope(way, user) for user in some if everybody[user].is_in(scope)]
        worst = max(worst, _differ(change, [alike[one] for one in mine if one in alike]))
    if scope == EVERYONE:
        for way in ("model", "version", "team"):
            worst = max(
                worst, _differ(change, [series for one, series in alike.items() if one.dimension == way])
            )
    whole = alike.get(EVERYONE)
    explained = gain(change, without(change, whole) if whole is not None else change.usual)
    if change.is_of_its_own:
        return (explained - worst) * _NEW_VERSION
    return explained - worst + _favour(change, alike, everybody)


def _favour(change: Change, alike: Mapping[Scope, Series], everybody: People) -> float:
    """Return the favour of a scope: that of the smallest one that has all of what it has."""
    users = members(everybody, change.series.scope)
    teams = {team for user in users for team in everybody[user].teams}
    for dimension, values in (("user", users), ("team", teams)):
        same = [alike[scope] for value in values if (scope := Scope(dimension, value)) in alike]
        if any(_has_all(change, within(change, part)) for part in same):
            own = change.series.scope.dimension == dimension
            return _FAVOUR["everyone"] if own else -0.5 * change.deviance
    return _FAVOUR.get(change.series.scope.dimension, _LABEL)


def _has_all(change: Change, part: Sum) -> bool:
    """Whether a part, which is no larger, has nearly all of what a change is about."""
    whole = change.inside
    if _ALL * part.n > whole.n:
        return False
    return part.n >= _ALL * whole.n or (change.measure not in MEANS and part.k >= _ALL * whole.k)


def _is_composition(change: Change, known: Known, everybody: People) -> bool:
    """Whether a scope changed only since others of its people were at work, who were always so."""
    scope = change.series.scope
    if change.measure in _CHOSEN and scope.dimension in {"version", "project", "model"}:
        return True
    if scope.dimension == "user" or change.is_of_its_own:
        return False
    alike = known[change.measure, change.series.thing]
    mine = [Scope("user", user) for user, person in everybody.items() if person.is_in(scope)]
    found = [expected(change, alike[one]) for one in mine if one in alike]
    weight = sum(n for n, _ in found)
    if not weight:
        return False
    own = sum(value for _, value in found) / weight
    now, before = plain(change, change.inside), plain(change, change.usual)
    return now - own < _OWN * (now - before)


def _differ(change: Change, parts: Sequence[Series]) -> float:
    found = [one for part in parts if (one := misfit(change, part)) is not None]
    return max(0.0, sum(found) - _PARTS * len(found))


def _is_one(one: Change, other: Change, users: frozenset[str], others: frozenset[str]) -> bool:
    """Whether two changes are about the same people at the same time."""
    if not users & others and users and others:
        return False
    ends = [change.end for change in (one, other) if change.end is not None]
    latest = max(one.begin, other.begin)
    return abs(one.begin - other.begin) <= _NEAR or all(latest < end for end in ends)
