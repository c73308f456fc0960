"""Who works with what, and when: to see whether two changes are about the same people, and who has fallen silent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from access.insight.series import Part, Scope, answer, seconds
from access.query import Streams


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

    def is_in(self, scope: Scope) -> bool:
        """Whether a scope is about this person too."""
        match scope.dimension:
            case "team":
                return scope.value in self.teams
            case "user":
                return scope.value == self.user
            case "project":
                return scope.value in self.projects
            case "model":
                return scope.value in self.models
            case "version":
                return scope.value in self.versions
            case _:
                return True


People = Mapping[str, Person]


def people(store: Streams, begin: datetime, end: datetime, part: Part) -> dict[str, Person]:
    """Return all who sent something, by their ids. Raises Refusal."""
    values = {"from": seconds(begin), "to": seconds(end), **part.values}
    return {
        row["user_id"]: Person(
            row["user_id"],
            frozenset(row["teams"]),
            frozenset(row["projects"]),
            frozenset(row["models"]),
            frozenset(row["versions"]),
            row["days"],
            row["newest"],
        )
        for row in answer(store, "insight_people", values).dicts()
    }


def members(everybody: People, scope: Scope) -> frozenset[str]:
    """Return the users whom a scope is about."""
    return frozenset(user for user, person in everybody.items() if person.is_in(scope))
