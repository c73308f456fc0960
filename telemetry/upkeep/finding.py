"""What a check found: a line for a person, with the remedy where there is something to do."""

from dataclasses import dataclass
from enum import StrEnum

import click


class Verdict(StrEnum):
    """How a check ended. Only FAIL makes a program exit 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what to do about it."""

    verdict: Verdict
    about: str
    text: str
    remedy: str = ""

    def show(self) -> None:
        """Print it."""
        colour = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}[self.verdict]
        click.echo(f"  {click.style(f'{self.verdict:4}', fg=colour)}  {self.about:20} {self.text}")
        if self.remedy and self.verdict is not Verdict.OK:
            click.echo(f"        {'':20} -> {self.remedy}")
