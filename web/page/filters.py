"""What a view is about: the period, and whose or of what, all in the address, so that every view is a link."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final
from urllib.parse import urlencode

PERIODS: Final[Mapping[str, str]] = {
    "1h": "last hour",
    "24h": "last 24 hours",
    "7d": "last 7 days",
    "30d": "last 30 days",
}
DEFAULT: Final = "7d"
NARROWING: Final = ("team", "user", "project", "model")
"""What narrows a view, by the names of the questions' parameters."""
LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a view. `start` and `end`, times as `access.times` reads them, are used instead of `period`."""

    period: str = DEFAULT
    start: str = ""
    end: str = ""
    team: str = ""
    user: str = ""
    project: str = ""
    model: str = ""

    @property
    def words(self) -> str:
        """The period in words."""
        if self.start or self.end:
            return f"{self.start or 'the beginning'} to {self.end or 'now'}"
        return PERIODS.get(self.period, self.period)

    def parameters(self) -> dict[str, str]:
        """Return the values for a question's parameters, of which it takes those that it has."""
        start = self.start or (self.period if not self.end else "30d")
        return {"from": start, "to": self.end or "now", **self.narrowing()}

    def narrowing(self) -> dict[str, str]:
        """Return what is chosen beside the period, by the names of parameters; empty: all."""
        return {name: getattr(self, name) for name in NARROWING}

    def query(self, **changes: str) -> str:
        """Return the address's query for these filters with some changed, `` or `?…`; defaults are left out."""
        changed = replace(self, **{name: value for name, value in changes.items() if name in _NAMES})
        pairs = {
            name: value for name in _NAMES if (value := getattr(changed, name)) and (name, value) != _USUAL
        }
        more = {name: value for name, value in changes.items() if name not in _NAMES and value}
        return "?" + urlencode(pairs | more) if pairs or more else ""


_NAMES: Final = tuple(field.name for field in fields(Filters))
_USUAL: Final = ("period", DEFAULT)


def filters_of(query: Mapping[str, str], *, team: str = "", user: str = "") -> Filters:
    """Return the filters of an address. A `team` or `user` given here holds whatever the address says."""
    found = {name: query.get(name, "").strip()[:LONGEST] for name in _NAMES}
    if found["period"] not in PERIODS:
        found["period"] = DEFAULT
    if team:
        found["team"] = team
    if user:
        found["user"] = user
    return Filters(**found)
