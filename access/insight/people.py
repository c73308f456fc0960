"""Who works with what, and when: to see whether two changes are about the same people, and who has fallen silent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from access.insight.series import EVERYONE, Part, Scope, answer, seconds
from access.query import Streams

_LABELS: Final = timedelta(days=7)
"""Labels are those of the last days: who changes the terminal belongs to the new one."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who sent something."""

    user: str
    teams: frozenset[str]
    projects: frozenset[str]
    models: frozenset[str]
    versions: frozenset[str]
    days: Sequence[int]
    """The midnights of the days with events, Unix seconds, in order."""
    newest: int
    """The time of the newest event."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What others have too: terminal, operating system, region, usual model, and labels of the company's own."""

    def is_in(self, scope: Scope) -> bool:
        """Whether a scope is about this person too."""
        many = {
            "team": self.teams,
            "project": self.projects,
            "model": self.models,
            "version": self.versions,
        }
        if scope.dimension in many:
            return scope.value in many[scope.dimension]
        if scope.dimension == "user":
            return scope.value == self.user
        return scope == EVERYONE or self.labels.get(scope.dimension) == scope.value


People = Mapping[str, Person]


def people(store: Streams, begin: datetime, end: datetime, part: Part) -> dict[str, Person]:
    """Return all who sent something, by their ids. Raises Refusal."""
    values = {"from": seconds(begin), "to": seconds(end), **part.values}
    labels: dict[str, dict[str, str]] = {}
    recent = values | {"from": seconds(max(begin, end - _LABELS))}
    for name, value, users in answer(store, "insight_labels", recent).rows:
        for user in users:
            labels.setdefault(user, {})[name] = value
    return {
        row["user_id"]: Person(
            row["user_id"],
            frozenset(row["teams"]),
            frozenset(row["projects"]),
            frozenset(row["models"]),
            frozenset(row["versions"]),
            row["days"],
            row["newest"],
            labels.get(row["user_id"], {}),
        )
        for row in answer(store, "insight_people", values).dicts()
    }


def members(everybody: People, scope: Scope) -> frozenset[str]:
    """Return the users whom a scope is about."""
    return frozenset(user for user, person in everybody.items() if person.is_in(scope))


def shared(everybody: People) -> dict[Scope, list[str]]:
    """Return the users of each label that several share, and not all: those of a terminal, of a region."""
    found: dict[Scope, list[str]] = {}
    for user, person in everybody.items():
        for name, value in person.labels.items():
            found.setdefault(Scope(name, value), []).append(user)
    return {scope: users for scope, users in found.items() if 1 < len(users) < len(everybody)}
