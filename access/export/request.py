"""What an export is asked for: its name, format, level of privacy and period, each checked before anything is read."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from access.answer import Range
from access.quality import Rule
from access.refusal import invalid

WHOLE: Final = Range(datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC))
"""All that is stored, clocks that are wrong included."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def is_name(text: str) -> bool:
    """Whether exports can have this name; it is one folder, whatever it is."""
    return _NAME.fullmatch(text) is not None


class Format(StrEnum):
    """The formats."""

    json = "json"
    """One document: metadata, benchmarks, performance, errors, recommendations."""
    csv = "csv"
    """A row for what each session did with one MCP server, or without any."""
    jsonl = "jsonl"
    """An event a line."""
    parquet = "parquet"
    """Events, typed."""


class Level(StrEnum):
    """What is left out of what is stored. No level adds to it."""

    strict = "strict"
    """Columns of free text are left out."""
    keep = "keep"
    """Nothing is left out."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An export to make."""

    format: Format
    name: str = "telemetry"
    """Exports of one name are numbered, and an incremental one goes on after the last of its name."""
    time_range: Range | None = None
    """None: all that is stored."""
    words: str = ""
    """The period as it was asked for. An export of the same words goes on where it was interrupted, in its period."""
    incremental: bool = False
    level: Level = Level.strict
    defuse_formulas: bool = False
    """In CSV, write an apostrophe before text that a spreadsheet would run as a formula."""
    rules: tuple[Rule, ...] | None = None
    """The validation rules; None: the bundled ones."""

    @property
    def period(self) -> Range:
        """The period that is exported."""
        return self.time_range or WHOLE

    def check(self) -> None:
        """Raise Refusal when the parts do not fit together."""
        if not is_name(self.name):
            raise invalid(
                "name",
                "A name has up to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit.",
                ["weekly-review"],
            )
        if self.incremental and self.time_range is not None:
            raise invalid(
                "incremental",
                "An incremental export has all that is new, whenever it happened: leave the period out.",
                ["incremental without a period", "a period without incremental"],
            )
        if self.defuse_formulas and self.format is not Format.csv:
            raise invalid(
                "defuse_formulas", "Formulas are of spreadsheets: only CSV can be defused.", ["csv"]
            )
