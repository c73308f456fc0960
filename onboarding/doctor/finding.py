"""What a check found, how checks follow one another, and how their findings are printed.

A check never raises for what it looks at: whatever is wrong there is a finding. No finding holds a secret.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

import click

Place = TypeVar("Place")


class State(StrEnum):
    """How a check ended. Only BROKEN makes a command exit 1."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and the remedy where there is one. No field holds a secret."""

    state: State
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Check(Generic[Place]):
    """One check: its name, the function that returns the finding, and the checks that must have held before."""

    name: str
    find: Callable[[Place], Finding]
    needs: tuple[str, ...] = ()
    title: str = ""
    """What its line is called, when several checks share a title."""


@dataclass(frozen=True, slots=True)
class Result:
    """A check's name and title, and what it found."""

    name: str
    finding: Finding
    title: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How lines are printed: what stands before each, the word for each state, and the width of titles."""

    margin: str
    marks: Mapping[State, str]
    title_width: int
    arrow: str
    """What stands before a remedy."""


_COLOURS: Final = {State.OK: "green", State.WARNING: "yellow", State.BROKEN: "red"}


def ok(text: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(State.OK, text)


def warning(text: str, fix: str) -> Finding:
    """Return the finding that it works, but perhaps not as wanted."""
    return Finding(State.WARNING, text, fix)


def broken(text: str, fix: str) -> Finding:
    """Return the finding that it does not work."""
    return Finding(State.BROKEN, text, fix)


def skipped(text: str, fix: str = "") -> Finding:
    """Return the reason why a check was not made."""
    return Finding(State.SKIPPED, text, fix)


def examine(checks: Sequence[Check[Place]], place: Place) -> Iterator[Result]:
    """Run checks in their order and yield each result; a check is skipped when one that it needs did not hold."""
    results: dict[str, Result] = {}
    for check in checks:
        failed = _first_failed(check, results)
        finding = (
            skipped(f"needs {failed.name}, which is {failed.finding.state}") if failed else check.find(place)
        )
        results[check.name] = Result(check.name, finding, check.title or check.name)
        yield results[check.name]


def _first_failed(check: Check[Place], results: Mapping[str, Result]) -> Result | None:
    for name in check.needs:
        if results[name].finding.state in {State.BROKEN, State.SKIPPED}:
            return results[name]
    return None


def show(result: Result, layout: Layout) -> None:
    """Print one line for a result, and its remedy below it."""
    finding = result.finding
    width = max(map(len, layout.marks.values()))
    mark = click.style(f"{layout.marks[finding.state]:{width}}", fg=_COLOURS.get(finding.state))
    click.echo(f"{layout.margin}{mark}  {result.title:{layout.title_width}}{finding.text}")
    if finding.fix and finding.state is not State.OK:
        indent = len(layout.margin) + width + 2 + layout.title_width
        click.echo(f"{'':{indent}}{layout.arrow}{finding.fix}")
