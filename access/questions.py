"""The questions of `queries/`: one in each file, with a header in YAML in the comment at the top.

The header has the question (`question`), the `topic` that lists it, what the client has to send for it (`needs`, names
of `access.needs`), an optional `note` on how to read the answer, the parameters with their defaults, the columns, an
example row, and optionally the columns that a narrow table leaves out first (`wide`).
"""

import difflib
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from access import records
from access.needs import NEEDS
from access.refusal import Refusal
from access.text import visible
from access.times import instant

QUERIES: Final = Path(__file__).parent.parent / "queries"
TOPICS: Final = ("sessions", "errors", "tools", "cost", "speed", "people", "security", "data")
_HEADER: Final = re.compile(r"\A/\*\n(.*?)\n\*/\n", re.DOTALL)
_PARAMETER: Final = re.compile(r"\{(\w+):([^{}]+)\}")
_KEPT: Final = 256
_NEAR: Final = 0.6
_SHOWN: Final = 60
_EARLIEST: Final = datetime(1970, 1, 3, tzinfo=UTC)
"""Sums by the day look a day or two further back than a period, and a DateTime has nothing before 1970."""


class QuestionError(ValueError):
    """There is no such question, or it cannot take a value. The text has the remedy."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that a question takes, `{name:Type}` in its SQL."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Question:
    """One file of `queries/`."""

    name: str
    topic: str
    question: str
    note: str
    needs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    columns: Mapping[str, str]
    example: Mapping[str, Any]
    wide: tuple[str, ...]
    """Columns that a table leaves out when it has no room for all, in this order."""
    empty: str
    """What it means that there are no rows, though all that it needs is collected; "" where that says itself."""
    sql: str

    @property
    def types(self) -> dict[str, str]:
        """The ClickHouse types of the parameters, by name."""
        return dict(_PARAMETER.findall(self.sql))

    def values(self, given: Mapping[str, str], now: datetime | None = None) -> dict[str, str]:
        """Fill in defaults and work out times (`7 days ago`, `now`). Raises QuestionError."""
        names = [parameter.name for parameter in self.parameters]
        if unknown := [name for name in given if name not in names]:
            raise QuestionError(
                f"{self.name} has no parameter {unknown[0]}; it has {', '.join(names) or 'none'}."
            )
        moment = now or datetime.now(UTC)
        times = {name for name, kind in self.types.items() if kind.startswith("DateTime")}
        values = {
            parameter.name: given.get(parameter.name, parameter.default) for parameter in self.parameters
        }
        return {
            name: f"{when(value, moment):%Y-%m-%d %H:%M:%S}" if name in times else value
            for name, value in values.items()
        }


def when(text: str, now: datetime) -> datetime:
    """Return the time in UTC of a text that `access.times` reads, in whole seconds. Raises QuestionError."""
    try:
        found = instant(text, now).replace(microsecond=0)
    except Refusal:
        found = None
    if found is None or found < _EARLIEST:
        raise QuestionError(
            f"{visible(text, _SHOWN) or 'An empty text'} is not a time from 1970 to 2105: write 2026-11-22,"
            " 2026-11-22 17:00, now, yesterday, or 3 days ago."
        )
    return found


def questions(folder: Path = QUERIES) -> list[Question]:
    """Return all questions, sorted by topic and name. Raises QuestionError for a file without a valid header.

    A file is read again when it has changed.
    """
    found = [read(path) for path in sorted(folder.glob("*.sql"))]
    return sorted(found, key=lambda question: TOPICS.index(question.topic))


def names(folder: Path = QUERIES) -> list[str]:
    """Return the names of all questions, in their order."""
    return sorted(path.stem for path in folder.glob("*.sql"))


def find(name: str, folder: Path = QUERIES) -> Question:
    """Return the question of this name. Raises QuestionError."""
    path = folder / f"{name}.sql"
    if not re.fullmatch(r"[a-z0-9_]+", name) or not path.is_file():
        near = difflib.get_close_matches(name, names(folder), 3, _NEAR)
        meant = f"; did you mean {' or '.join(near)}?" if near else "."
        raise QuestionError(f"There is no question {name}{meant} telemetry query --list shows them all.")
    return read(path)


def read(path: Path) -> Question:
    """Return the question in a file. Raises QuestionError."""
    return _parsed(path, path.read_text(encoding="utf-8"))


@functools.lru_cache(_KEPT)
def _parsed(path: Path, text: str) -> Question:
    header = _HEADER.match(text)
    if header is None:
        raise QuestionError(f"{path.name} does not begin with a header: /*, lines of YAML, */.")
    try:
        fields = yaml.safe_load(header[1])
        parameters = tuple(
            Parameter(name, str(about["default"]), about["meaning"])
            for name, about in fields["parameters"].items()
        )
        if fields["topic"] not in TOPICS:
            raise QuestionError(f"The topic of {path.name} is none of {', '.join(TOPICS)}.")
        needs = tuple(fields["needs"])
        if unknown := [name for name in needs if name not in NEEDS]:
            raise QuestionError(f"{path.name} needs {unknown[0]}, which is none of {', '.join(NEEDS)}.")
        sql = records.real(text) if path.resolve().parent == QUERIES else text
        if records.is_asked(sql):
            parameters += (Parameter(records.PARAMETER, records.REAL, records.MEANING),)
        return Question(
            path.stem,
            fields["topic"],
            fields["question"],
            fields.get("note", "").strip(),
            needs,
            parameters,
            fields["columns"],
            fields["example"],
            tuple(fields.get("wide", ())),
            fields.get("empty", ""),
            sql,
        )
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise QuestionError(f"The header of {path.name} lacks or misspells {error}.") from None
