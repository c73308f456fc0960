"""What a report is made of, before it is Markdown or HTML. All texts are plain; whoever shows them escapes them."""

from dataclasses import dataclass
from typing import Any

from access.report.findings import Finding
from access.report.numbers import Kind


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of the summary, against the period before."""

    name: str
    value: str
    before: str
    change: str
    tone: str
    """`good`, `bad`, or empty where more is neither."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    kind: Kind = Kind.COUNT
    has_bar: bool = False
    """Whether its values, which are percentages, are drawn too."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the values are of their columns' kinds."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""
    leftover: int = 0
    """Rows that were left out."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture, for HTML alone; what it shows also stands in a table or in words."""

    svg: str
    title: str
    """What it shows, in a few words."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Messages of one category."""

    category: str
    messages: tuple[tuple[str, str], ...]
    """Each, and when and where it was."""


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
    findings: tuple[Finding, ...] = ()
    sections: tuple[Section, ...] = ()
