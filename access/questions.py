"""The questions of `queries/`: one a file, its header in YAML in the comment at the top.

The header says what the file answers (`question`), the `topic` to list it under, how to read the answer if that needs
saying (`note`), its parameters with their defaults, its columns, and an example row.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import yaml

QUERIES: Final = Path(__file__).parent.parent / "queries"
TOPICS: Final = ("sessions", "errors", "tools", "cost", "speed", "people", "security", "data")
_HEADER: Final = re.compile(r"\A/\*\n(.*?)\n\*/\n", re.DOTALL)
_AGO: Final = re.compile(r"(\d+) (minute|hour|day|week)s? ago")


class QuestionError(ValueError):
    """There is no such question, or a value that it cannot take. The text has the remedy."""


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
    parameters: tuple[Parameter, ...]
    columns: Mapping[str, str]
    example: Mapping[str, Any]
    sql: str

    def values(self, given: Mapping[str, str], now: datetime | None = None) -> dict[str, str]:
        """Fill in defaults and work out relative times (`7 days ago`, `now`). Raises QuestionError."""
        names = [parameter.name for parameter in self.parameters]
        if unknown := [name for name in given if name not in names]:
            raise QuestionError(
                f"{self.name} has no parameter {unknown[0]}; it has {', '.join(names) or 'none'}."
            )
        moment = now or datetime.now(UTC)
        return {
            parameter.name: when(given.get(parameter.name, parameter.default), moment)
            for parameter in self.parameters
        }


def when(value: str, now: datetime) -> str:
    """Turn `now` and `3 days ago` into a time as ClickHouse reads it, in UTC; give other values back."""
    ago = _AGO.fullmatch(value.strip())
    if ago:
        now -= timedelta(**{f"{ago[2]}s": int(ago[1])})
    return now.strftime("%Y-%m-%d %H:%M:%S") if ago or value.strip() == "now" else value


def questions(folder: Path = QUERIES) -> list[Question]:
    """Read all questions, by topic and name. Raises QuestionError for a file without a proper header."""
    found = [read(path) for path in sorted(folder.glob("*.sql"))]
    return sorted(found, key=lambda question: TOPICS.index(question.topic))


def find(name: str, folder: Path = QUERIES) -> Question:
    """Read one question by its name. Raises QuestionError."""
    path = folder / f"{name}.sql"
    if not re.fullmatch(r"[a-z0-9_]+", name) or not path.is_file():
        names = ", ".join(sorted(path.stem for path in folder.glob("*.sql")))
        raise QuestionError(f"There is no question {name}; there are {names}.")
    return read(path)


def read(path: Path) -> Question:
    """Read the question in a file. Raises QuestionError."""
    text = path.read_text(encoding="utf-8")
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
        return Question(
            path.stem,
            fields["topic"],
            fields["question"],
            fields.get("note", "").strip(),
            parameters,
            fields["columns"],
            fields["example"],
            text,
        )
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise QuestionError(f"The header of {path.name} lacks or misspells {error}.") from None
