"""The one place that holds an answer within its budget, and says what it left out.

`fit` measures the JSON that is sent, in the UTF-16 units in which Claude Code counts. It cuts cells, then leaves out
rows at the end, of the longest table first. What it did is in `truncated`, `has_more`, `next_cursor` and a hint.
`series` brings long series to a few points and their description.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from access import series as thinning
from access.answer import Answer, Row, Scalar, Table, json, names, shown
from access.refusal import invalid
from access.series import Point
from access.text import CELL, units

DEFAULT: Final = 20_000
"""Characters of an answer unless another budget was asked for: about 6,000 tokens."""
MOST: Final = 45_000
"""Claude Code puts a longer result into a file, at 50,000."""
LEAST: Final = 4_000
"""Below this there is no room for what says how to read the answer."""
_CELLS: Final = (CELL, 400, 150, 60)
"""The lengths to which cells are cut, one after the other, while too few rows have room."""
_ENOUGH_ROWS: Final = 20
_COLUMNS: Final = 100
_TABLES: Final = 12
_NOTES: Final = 12
_PARAMETERS: Final = 20
# What gives way, in this order, where the fields besides the rows would fill the budget alone.
_DISPENSABLE: Final[tuple[tuple[str, Any], ...]] = (
    ("parameters", {}),
    ("query_executed", ""),
    ("notes", ()),
    ("hints", ()),
)

Continue = Callable[[int], str | None]
"""Returns the cursor that goes on after so many rows."""


def size(budget: int | None) -> int:
    """Return the characters to hold: those asked for, or the default. Raises Refusal outside of the bounds."""
    if budget is None:
        return DEFAULT
    if not LEAST <= budget <= MOST:
        raise invalid(
            "max_characters",
            f"An answer has {LEAST:,} to {MOST:,} characters; {budget:,} were asked for.",
            [f"{LEAST} to {MOST}"],
        )
    return budget


def fit(answer: Answer, characters: int = DEFAULT, continue_at: Continue | None = None) -> Answer:
    """Return the answer with as many of its rows and of their text as its JSON has room for.

    `continue_at` makes the cursor for rows that are left out of the main table; without it the hint is to ask for less.
    Raises ValueError when not even one column's name has room, which no budget from LEAST on can bring about.
    """
    characters = max(LEAST, min(characters, MOST))
    bounded = _bounded(answer, characters)
    fitted = bounded
    for cell, columns in _steps(bounded):
        fitted = _filled(bounded, characters, _Cut(cell, columns), continue_at)
        if len(fitted.rows) >= min(_ENOUGH_ROWS, len(answer.rows)) and _has_all(fitted, bounded):
            break
        if cell == _CELLS[-1] and (fitted.rows or not answer.rows):
            break
    return fitted


def length(answer: Answer) -> int:
    """Return an answer's length as it is sent."""
    return units(answer.as_json())


def series(points: Mapping[str, Sequence[Point]], at_most: int = thinning.POINTS) -> tuple[Table, Table]:
    """Return series as a table of points, at most so many of each, and one that describes each over all its points."""
    rows = [
        (name, time, value) for name, found in points.items() for time, value in thinning.thin(found, at_most)
    ]
    described = [
        (name, *description.row())
        for name, found in points.items()
        if (description := thinning.describe(found)) is not None
    ]
    return Table(("series", "time", "value"), rows), Table(("series", *thinning.COLUMNS), described)


@dataclass(frozen=True, slots=True)
class _Cut:
    """To what cells and rows are cut."""

    cell: int
    columns: int


def _steps(answer: Answer) -> Iterator[tuple[int, int]]:
    """Yield what to try: shorter cells, then fewer columns."""
    for cell in _CELLS:
        yield cell, _COLUMNS
    columns = max([len(answer.columns), *(len(table.columns) for table in answer.tables.values())])
    while (columns := columns // 2) >= 1:
        yield _CELLS[-1], columns


def _bounded(answer: Answer, characters: int) -> Answer:
    """Return the answer with the fields besides its rows shortened, where these would fill half of the budget."""
    bounded = replace(
        answer,
        hints=answer.hints[:_NOTES],
        notes=answer.notes[:_NOTES],
        parameters=dict(itertools.islice(answer.parameters.items(), _PARAMETERS)),
        tables=dict(itertools.islice(answer.tables.items(), _TABLES)),
    )
    left = [name for name, _ in _DISPENSABLE if len(getattr(bounded, name)) < len(getattr(answer, name))]
    for field, empty in _DISPENSABLE:
        if length(replace(bounded, columns=(), rows=(), tables={})) <= characters // 2:
            break
        if getattr(bounded, field):
            bounded = replace(bounded, **{field: empty})
            left.append(field)
    if len(bounded.tables) < len(answer.tables):
        left.append("tables")
    if not left:
        return bounded
    said = f"Not all has room of {', '.join(dict.fromkeys(left))}."
    return replace(bounded, hints=(*bounded.hints, said), truncated=True)


def _filled(answer: Answer, characters: int, to: _Cut, continue_at: Continue | None) -> Answer:
    """Return the answer cut in this way, with as many rows as have room for its cursor and hints too."""
    room = characters
    while True:
        kept, used = _with_room(answer, max(0, room), to)
        fitted = _said(answer, kept, to, continue_at)
        over = length(fitted) - characters
        if over <= 0:
            return fitted
        if not used:
            if to.columns == 1:
                raise ValueError("the answer's fields besides its rows leave no room")
            return _filled(answer, characters, _Cut(to.cell, to.columns // 2), continue_at)
        # Less than these rows took, so that at least one of them goes.
        room = used - over


def _with_room(answer: Answer, room: int, to: _Cut) -> tuple[Answer, int]:
    """Return the answer with the first rows of each table that together have room, and how long these are."""
    wanted = [_lines(table.rows, room, to) for table in _tables(answer)]
    share = _share([sum(lengths) for _, lengths in wanted], room)
    kept = []
    used = 0
    for rows, lengths in wanted:
        totals = list(itertools.takewhile(lambda total: total <= share, itertools.accumulate(lengths)))
        kept.append(rows[: len(totals)])
        used += totals[-1] if totals else 0
    main, *others = kept
    with_room = replace(
        answer,
        columns=tuple(names(answer.columns[: to.columns])),
        rows=main,
        tables={
            name: Table(tuple(names(table.columns[: to.columns])), rows)
            for (name, table), rows in zip(answer.tables.items(), others, strict=True)
        },
    )
    return with_room, used


def _tables(answer: Answer) -> list[Table]:
    return [Table(answer.columns, answer.rows), *answer.tables.values()]


def _lines(rows: Sequence[Row], room: int, to: _Cut) -> tuple[list[list[Scalar]], list[int]]:
    """Return rows as they are sent, with the length of each, as far as the room could reach."""
    found: list[list[Scalar]] = []
    lengths: list[int] = []
    for row in rows:
        line = shown(row[: to.columns], to.cell)
        lengths.append(units(json(line)) + 2)
        found.append(line)
        room -= lengths[-1]
        if room < 0:
            break
    return found, lengths


def _share(wanted: Sequence[int], room: int) -> int:
    """Return the most that each may take so that all together take the room: those who want less leave it to others."""
    left = room
    for place, want in enumerate(sorted(wanted)):
        share = left // (len(wanted) - place)
        if want > share:
            return share
        left -= want
    return room


def _said(answer: Answer, fitted: Answer, to: _Cut, continue_at: Continue | None) -> Answer:
    """Return the fitted answer with what was left out of it said."""
    hints = list(answer.hints)
    left = len(answer.rows) - len(fitted.rows)
    cursor = answer.next_cursor
    if left:
        cursor = continue_at(len(fitted.rows)) if continue_at else None
        remedy = (
            "pass next_cursor as cursor to go on after these"
            if cursor
            else "ask for fewer columns, a shorter period, more filters or an aggregation"
        )
        hints.append(f"{len(fitted.rows):,} of {len(answer.rows):,} rows have room: {remedy}.")
    short = [name for name, table in answer.tables.items() if len(fitted.tables[name].rows) < len(table.rows)]
    if short:
        hints.append(f"Of {', '.join(short)[:200]} only the first rows have room.")
    is_cut = any(_is_cut(cell, to.cell) for table in _tables(fitted) for row in table.rows for cell in row)
    if is_cut:
        hints.append(
            f"Long texts are cut to {to.cell:,} characters: ask for fewer rows or columns to see more."
        )
    is_narrow = any(
        len(before.columns) > len(after.columns)
        for before, after in zip(_tables(answer), _tables(fitted), strict=True)
    )
    if is_narrow:
        hints.append("Columns at the end have no room: name the ones that you need.")
    is_truncated = answer.truncated or bool(left or short or is_cut or is_narrow)
    return replace(
        fitted,
        hints=tuple(hints),
        has_more=answer.has_more or left > 0,
        truncated=is_truncated,
        next_cursor=cursor,
    )


def _is_cut(cell: Scalar, limit: int) -> bool:
    """Whether a cell as sent is one that was cut: it then fills its limit, and ends in the length that it had."""
    return isinstance(cell, str) and len(cell) == limit and cell.endswith(" characters]")


def _has_all(fitted: Answer, answer: Answer) -> bool:
    """Whether each further table has as many rows as are enough, or all."""
    return all(
        len(fitted.tables[name].rows) >= min(_ENOUGH_ROWS, len(table.rows))
        for name, table in answer.tables.items()
    )
