"""What a check found, and how checks follow one another."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

Place = TypeVar("Place")


class State(StrEnum):
    """How a link of the way is."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. No field holds a secret."""

    state: State
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One check's name and finding."""

    name: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Check(Generic[Place]):
    """One link: its name, what finds out how it is, and the links without which that cannot be found out."""

    name: str
    find: Callable[[Place], Finding]
    needs: tuple[str, ...] = ()


def ok(text: str) -> Finding:
    """Say that a link holds."""
    return Finding(State.OK, text)


def warning(text: str, fix: str) -> Finding:
    """Say that a link holds, and what may not be wanted."""
    return Finding(State.WARNING, text, fix)


def broken(text: str, fix: str) -> Finding:
    """Say that a link does not hold."""
    return Finding(State.BROKEN, text, fix)


def skipped(text: str, fix: str = "") -> Finding:
    """Say why a link was not looked at."""
    return Finding(State.SKIPPED, text, fix)


def examine(checks: Sequence[Check[Place]], place: Place) -> Iterator[Result]:
    """Run checks in their order; one that needs a link that does not hold, or was not looked at, is skipped."""
    held: dict[str, Result] = {}
    for check in checks:
        failed = _first_failed(check, held)
        finding = (
            skipped(f"needs {failed.name}, which is {failed.finding.state}") if failed else check.find(place)
        )
        held[check.name] = Result(check.name, finding)
        yield held[check.name]


def _first_failed(check: Check[Place], held: Mapping[str, Result]) -> Result | None:
    for name in check.needs:
        if held[name].finding.state in {State.BROKEN, State.SKIPPED}:
            return held[name]
    return None
