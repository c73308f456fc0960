"""What is expected never to happen, or never to be new: named whatever its count, by user and team."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from access.insight.finding import Block, Finding
from access.insight.people import People
from access.insight.series import DAY, Part, Scope, answer, seconds
from access.insight.words import who
from access.query import Streams
from access.report.numbers import many
from access.text import visible

_LEARNT: Final = 4 * DAY
"""What is first seen in the first days of all is not new."""
_RARE: Final = 1e-5
_SILENT: Final = 8.0
"""What happens anyway, now and then, is not new for a lack of it that chance explains."""
_FEW: Final = 3
_LONG: Final = 80
_ADVICE: Final = {
    "permissions bypassed": "Ask them why, and forbid it in the managed settings (disableBypassPermissionsMode).",
    "unofficial plugin": "See what it does before others install it; the managed settings can name the marketplaces.",
    "internal error": "The client itself failed: see which version they have, report it, and keep others from it.",
    "failed login": "See whether the login has expired, or somebody else tries.",
}
_TITLES: Final = {
    "permissions bypassed": "Permissions are bypassed (bypassPermissions)",
    "unofficial plugin": "Unofficial plugin {thing}",
    "internal error": "The client fails: internal error {thing}",
    "failed login": "Logins fail",
}
_NOW_AND_THEN: Final = {"internal error", "failed login"}
"""What also happens when nothing is wrong, unlike permissions that are bypassed."""
_BY_USER: Final = {"permissions bypassed", "failed login"}
"""Usual for one is not usual for another."""


@dataclass(slots=True)
class _Seen:
    """One thing, of some users."""

    times: list[int]
    users: dict[str, int]
    teams: dict[str, int]
    versions: set[str]
    sessions: list[str]


def firsts(
    store: Streams,
    history: datetime,
    since: datetime,
    until: datetime,
    part: Part,
    everybody: People,
    busier: float = 1.0,
) -> tuple[list[Finding], list[str]]:
    """Return findings, and notes on servers that are new. Raises Refusal.

    `busier` is how many times as much people asked a day in the period as before: so much more of all is no news.
    """
    values = {"from": seconds(history), "to": seconds(until), **part.values}
    rows = answer(store, "insight_firsts", values).dicts()
    days = [day for person in everybody.values() for day in person.days]
    if not rows or not days:
        return [], []
    learnt = min(days) + _LEARNT
    seen: dict[tuple[str, str, str], _Seen] = {}
    for row in rows:
        one = row["user"] if row["kind"] in _BY_USER else ""
        found = seen.setdefault((row["kind"], row["thing"], one), _Seen([], {}, {}, set(), []))
        found.times += row["times"]
        found.users[row["user"]] = len(row["times"])
        found.teams[row["team"]] = found.teams.get(row["team"], 0) + len(row["times"])
        found.versions.add(row["version"])
        found.sessions += row["sessions"]
    begin, end = int(since.timestamp()), int(until.timestamp())
    findings, servers = [], []
    for (kind, thing, _), one in seen.items():
        one.times.sort()
        first = _begun(one.times, learnt, begin, end, _elsewhere(seen, kind, one), busier)
        if first is None or (kind == "internal error" and _count(one.times, first) < _FEW):
            continue
        if kind in _NOW_AND_THEN and not was_silent(one.times, first, learnt - _LEARNT, end):
            continue
        if kind == "MCP server":
            if one.times[0] < first:
                continue  # It is used more, and not new.
            servers.append(
                f"MCP server {visible(thing, _LONG)} is new since {datetime.fromtimestamp(first, UTC):%Y-%m-%d}."
            )
            continue
        findings.append(_finding(kind, thing, one, first, everybody))
    return findings, servers


def _elsewhere(seen: dict[tuple[str, str, str], _Seen], kind: str, mine: _Seen) -> list[int]:
    """Return when the same kind of thing happened otherwise: to others, or as another error."""
    if kind in {"unofficial plugin", "MCP server"}:
        return []
    return [
        time for (other, _, _), one in seen.items() if other == kind and one is not mine for time in one.times
    ]


def was_silent(times: Sequence[int], first: int, start: int, end: int) -> bool:
    """Whether it happened less before than as often as since would explain, by more than chance."""
    since = _count(times, first) / max((end - first) / DAY, 1.0)
    missed = since * (first - start) / DAY - (len(times) - _count(times, first))
    return missed >= _SILENT


def _count(times: Sequence[int], first: int) -> int:
    return sum(time >= first for time in times)


def _begun(
    times: Sequence[int], learnt: int, begin: int, end: int, elsewhere: Sequence[int], busier: float
) -> int | None:
    """Return when something new began, None when it is usual, or is over before the period."""
    if not times or times[-1] < begin:
        return None
    known = [time for time in times if time < learnt]
    later = [time for time in times if time >= learnt]
    if not later:
        return None
    if not known and not [time for time in elsewhere if time < later[0]]:
        return later[0]
    # It happens anyway, to somebody, at some time: then it has to be far more than that.
    past = max((later[0] - (learnt - _LEARNT)) / DAY, 1.0)
    usual = (len(known) + 0.2 * sum(time < later[0] for time in elsewhere) + 0.5) / past
    if known:
        recent = [time for time in times if time >= begin]
        before = [time for time in times if time < begin]
        if not recent:
            return None
        usual = (len(before) + 0.5) / max((begin - (learnt - _LEARNT)) / DAY, 1.0)
        later = recent
    expected = usual * busier * max((end - later[0]) / DAY, 0.5)
    return later[0] if _tail(len(later), expected) < _RARE else None


def _tail(count: int, expected: float) -> float:
    """Return the chance of so many or more, where so many are expected (Poisson)."""
    term = math.exp(-expected)
    below = 0.0
    for number in range(count):
        below += term
        term *= expected / (number + 1)
    return max(0.0, 1 - below)


def _finding(kind: str, thing: str, one: _Seen, first: int, everybody: People) -> Finding:
    users = sorted(one.users, key=lambda user: -one.users[user])
    teams = sorted(one.teams, key=lambda team: -one.teams[team])
    scope = (
        Scope("user", users[0])
        if len(users) == 1
        else Scope("team", teams[0])
        if len(teams) == 1
        else Scope("everyone")
    )
    since = datetime.fromtimestamp(first, UTC)
    times = _count(one.times, first)
    named = visible(thing, _LONG) or "without a name"
    known = ", ".join(visible(version, _LONG) for version in sorted(one.versions) if version)
    versions = f"; client {known}" if known else ""
    usual = "never before" if times == len(one.times) else f"{many(len(one.times) - times, 'time')} before"
    values: dict[str, Any] = {
        "block": Block.SECURITY,
        "kind": kind,
        "thing": visible(thing, _LONG),
        "scope": scope,
        "users": tuple(users),
        "teams": tuple(teams),
        "since": since,
        "until": None,
        "times": float(times),
        "now": float(times),
        "before": float(len(one.times) - times),
        "usd": 0.0,
        "minutes": 0.0,
        "title": _TITLES[kind].format(thing=named),
        "who": who(scope, users, teams, everybody),
        "reason": f"{many(times, 'time')} since {since:%Y-%m-%d %H:%M} UTC, {usual}{versions}.",
        "worked_out": "",
        "advice": _ADVICE[kind],
        "check": "Repaired when it does not happen again: telemetry query security.",
        "sessions": tuple(one.sessions[:3]),
        "command": "security" if kind != "internal error" else "error_samples -p category='internal'",
    }
    return Finding(**values)
