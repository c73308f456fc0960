"""A panel: the answer to one question of `queries/` as a table, perhaps with a chart, and the ways to more of it.

A panel whose question is refused, or cannot be answered now, says so in its place; the others of its view are shown.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from access.answer import Answer, scalar
from access.library import MOST, ask_question
from access.questions import Question, find
from access.reading import Reading
from access.refusal import Code, Refusal
from access.report.numbers import Kind, shown
from web.page.cells import Grid, grid, kind_of, moment_of
from web.page.charts import Bar, bars
from web.page.filters import Filters
from web.roles import ALL, Role

ROWS: Final = 25
"""Rows of a panel; its question's own page has more."""
_CHARACTERS: Final = 45_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001  as spreadsheets read them


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn of a panel's answer: the sums of `value` by `step`, which is a time or a day."""

    step: str
    value: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A question in a view. `given` are parameters beside those of the view's filters."""

    question: str
    title: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    """Those that are shown; none: all."""
    bar: str = ""
    chart: Chart | None = None
    rows: int = ROWS
    has_table: bool = True
    totals: tuple[str, ...] = ()
    """Columns whose sums are shown, with their shares of all of these, and not the rows."""
    is_budgeted: bool = False
    """Whether it is compared with the month's budget, unless the view is narrowed."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel with its answer."""

    panel: Panel
    question: Question
    parameters: Mapping[str, str]
    answer: Answer | None
    grid: Grid | None
    picture: Any
    refusal: Refusal | None = None
    whole: tuple[str, ...] = ()
    """What the view is narrowed by and this question cannot be."""

    @property
    def title(self) -> str:
        """Its heading."""
        return self.panel.title or self.question.question

    @property
    def notes(self) -> tuple[str, ...]:
        """Why it is empty, and how to read it."""
        if self.answer is None:
            return ()
        whole = f"Not narrowed by {' and '.join(self.whole)}." if self.whole else ""
        return (
            *((whole,) if whole else ()),
            *(self.answer.hints if not self.answer.rows else ()),
            *self.answer.notes,
        )

    @property
    def says_why(self) -> bool:
        """Whether a note has the reason that there are no rows."""
        return any(note.startswith("No rows") for note in self.notes)


def fill(reading: Reading, panel: Panel, filters: Filters, role: Role = ALL) -> Shown:
    """Ask a panel's question, within what the person may see. Raises nothing that a question can cause."""
    question = find(panel.question)
    parameters = taken(question, filters, panel.given)
    if panel.is_budgeted and reading.desk.budget_usd and not any(filters.narrowing().values()):
        parameters["budget"] = f"{reading.desk.budget_usd:g}"
    has = {one.name for one in question.parameters}
    whole = tuple(name for name, value in filters.narrowing().items() if value and name not in has)
    try:
        covered(question, role)
        answer = ask_question(
            reading,
            question.name,
            parameters,
            limit=max(panel.rows, _whole(panel)),
            max_characters=_CHARACTERS,
        )
    except Refusal as refusal:
        return Shown(panel, question, parameters, None, None, "", refusal)
    cut = Answer(answer.columns, answer.rows[: panel.rows])
    table = None
    if panel.totals:
        table = grid(_totals(panel.totals, answer), question.columns, filters, bar="percent")
    elif panel.has_table:
        table = grid(cut, question.columns, filters, panel.columns or None, panel.bar)
    picture = _picture(panel, answer, question)
    return Shown(panel, question, parameters, answer, table, picture, whole=whole)


def covered(question: Question, role: Role) -> None:
    """Raise Refusal when a question cannot be asked about a person's part of the data alone."""
    has = {one.name for one in question.parameters}
    if (role.team and "team" not in has) or (role.user and "user" not in has):
        raise Refusal(Code.FORBIDDEN, f"{question.name} is for those who see all data (TELEMETRY_WEB_ROLES).")


def taken(question: Question, filters: Filters, given: Mapping[str, str]) -> dict[str, str]:
    """Return the values for those parameters that a question has."""
    mine = filters.parameters()
    # Filters win over what an address says of the same name: they hold what the person may see.
    offered = {**mine, **given} | {name: mine[name] for name in ("team", "user") if mine[name]}
    return {one.name: offered[one.name] for one in question.parameters if offered.get(one.name)}


def as_csv(reading: Reading, question: Question, parameters: Mapping[str, str]) -> str:
    """Return an answer as CSV, at most MOST rows; what a spreadsheet would take for a formula begins with a quote.

    Raises Refusal.
    """
    answer = ask_question(reading, question.name, parameters, limit=MOST, max_characters=_CHARACTERS)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(answer.columns)
    while True:
        for row in answer.rows:
            writer.writerow([_defused(scalar(value, 32_000)) for value in row])
        if not answer.next_cursor:
            return lines.getvalue()
        answer = ask_question(
            reading, question.name, cursor=answer.next_cursor, limit=MOST, max_characters=_CHARACTERS
        )


def _defused(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _whole(panel: Panel) -> int:
    """Return how many rows are asked for: a chart wants all of its steps."""
    return MOST if panel.chart or panel.totals else 1


def _totals(columns: Sequence[str], answer: Answer) -> Answer:
    """Return the sums of columns, and what share of them all each is."""
    places = [(name, answer.columns.index(name)) for name in columns if name in answer.columns]
    sums = {name: sum(row[place] or 0 for row in answer.rows) for name, place in places}
    whole = sum(sums.values())
    rows = [
        (name.replace("_", " "), total, 100 * total / whole if whole else None)
        for name, total in sums.items()
    ]
    return Answer(("kind", "tokens" if "tokens" in columns[0] else "total", "percent"), rows)


def _picture(panel: Panel, answer: Answer, question: Question) -> Any:
    chart = panel.chart
    if chart is None or chart.step not in answer.columns or chart.value not in answer.columns:
        return ""
    step, value = answer.columns.index(chart.step), answer.columns.index(chart.value)
    sums: dict[date, float] = {}
    for row in answer.rows:
        at = moment_of(str(scalar(row[step])))
        if at is not None:
            sums[at] = sums.get(at, 0.0) + float(row[value] or 0)
    kind = kind_of(chart.value) or Kind.COUNT
    steps = [
        Bar(
            f"{at:%m-%d %H:%M}" if isinstance(at, datetime) else f"{at:%m-%d}",
            total,
            f"{_words(at)}: {shown(kind, total)}",
        )
        for at, total in _without_gaps(sums)
    ]
    title = panel.title or question.question
    return bars(f"{title} ({chart.value.replace('_', ' ')})", steps, chart.unit)


def _words(at: date) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if isinstance(at, datetime) else at.isoformat()


def _without_gaps(sums: Mapping[date, float]) -> list[tuple[date, float]]:
    """Return the steps from the first to the last, those between of which nothing is known as 0."""
    if not sums:
        return []
    at, last = min(sums), max(sums)
    step = timedelta(hours=1) if isinstance(at, datetime) else timedelta(days=1)
    found: list[tuple[date, float]] = []
    while at <= last and len(found) < MOST:
        found.append((at, sums.get(at, 0.0)))
        at += step
    return found
