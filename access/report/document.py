"""The parts of a report, before it is Markdown or HTML. All texts are unescaped; each writer escapes them."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from access.report.findings import ReportFinding
from access.report.numbers import Kind


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of the summary, compared with the period before."""

    name: str
    value: str
    before: str
    change: str
    tone: str
    """`good`, `bad`, or empty when a change is neither."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    kind: Kind = Kind.COUNT
    has_bar: bool = False
    """Whether its values, which are percentages, are also drawn as bars."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; each value is of its column's kind."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""
    leftover: int = 0
    """Rows that were left out."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture."""

    svg: Markup
    title: str
    """What it shows, in a few words."""
    lines: tuple[str, ...] = ()
    """The same in characters, for Markdown; empty where a table has the same figures."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Messages of one category."""

    category: str
    messages: tuple[tuple[str, str], ...]
    """Pairs of a message, and its time and session."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part with a heading."""

    title: str
    anchor: str
    words: tuple[str, ...]
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    samples: tuple[Samples, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report."""

    title: str
    period: str
    scope: str
    words: tuple[str, ...]
    measures: tuple[Measure, ...] = ()
    findings: tuple[ReportFinding, ...] = ()
    """What to fix first."""
    notes: tuple[str, ...] = ()
    """What the findings cannot say."""
    always: tuple[ReportFinding, ...] = ()
    """What is merely frequent."""
    sections: tuple[Section, ...] = ()
