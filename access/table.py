"""An answer as a table for people: it fits a width, money has cents, and what is not known is blank.

All text is made visible and ids are shortened (see `access.ids`). What is exact, and whole, is in the formats for
programs: CSV, JSON, Parquet.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from access.answer import scalar
from access.ids import alias, short_id
from access.text import visible

WIDTH: Final = 130
_GAP: Final = "  "
_LEAST: Final = 13
"""Characters that a column of text keeps when the table is too wide."""
_CELL: Final = 300
_IDS: Final = frozenset(
    {
        "session", "session_id", "worst_session", "dearest_session", "prompt", "prompt_id", "trace", "trace_id", "span",
        "parent",
    }
)  # fmt: skip
_USERS: Final = frozenset({"user", "user_id", "most_by"})
_SENTENCES: Final = frozenset({"message", "sample", "error"})
"""Columns that are asked for their words: others go before these are cut to a few."""
_LEAST_OF: Final[Mapping[str, int]] = {
    **dict.fromkeys(_SENTENCES, 36), "category": 32, "event": 18, "outcome": 18, "kind": 22,
}  # fmt: skip
"""Columns by whose words rows are told apart keep more of them."""
_MINUTES: Final = frozenset({"last_seen", "started"})
"""Times whose seconds say nothing."""
_MONEY: Final = re.compile(r"(^|_)usd($|_)")
_MONEY_TOO: Final = frozenset({"projected", "last_month", "mean", "p50", "p95", "dearest", "before"})
"""Dollars where another column says so by its name."""
_UNSPENT: Final = ("recomputed_usd", "unpriced")
"""Columns that are left out when they have nothing but zeros."""
_REPORTED: Final = "reported_usd"
_NUMBER: Final = re.compile(r"(?:Nullable\(|LowCardinality\()*(?:U?Int|Float|Decimal)")
_THOUSAND: Final = 1000
_CENT: Final = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """A table of text: headings, cells, which columns are numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[bool, ...]
    """Of these nothing is cut off, nor of `times`."""
    times: tuple[bool, ...] = ()
    hidden: tuple[str, ...] = ()
    """Columns for which there was no room."""


def readable(
    columns: Sequence[str],
    types: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    is_question: bool = True,
    has_short_ids: bool = True,
) -> Shown:
    """Return an answer's cells as text. Only the answers to bundled questions have short ids and rounded numbers."""
    kept = [place for place, name in enumerate(columns) if not _is_unspent(name, place, rows)]
    is_dollars = any(_MONEY.search(name) for name in columns)
    cells = []
    for row in rows:
        is_measured = columns[:1] == ("measure",) and str(row[0]).startswith("usd")
        cells.append(
            tuple(
                _cell(
                    columns[place] if has_short_ids or columns[place] not in _IDS | _USERS else "",
                    row[place],
                    is_dollars=is_dollars,
                    is_money=is_measured,
                )
                if is_question
                else _exact(row[place])
                for place in kept
            )
        )
    return Shown(
        tuple(visible(columns[place], _CELL) for place in kept),
        tuple(cells),
        tuple(bool(_NUMBER.match(types[place])) for place in kept),
        tuple("Date" in types[place] for place in kept),
    )


def unpriced(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a sentence on the part of a cost that is recomputed or unknown, empty without one."""
    sums = {name: sum(row[columns.index(name)] or 0 for row in rows) for name in _UNSPENT if name in columns}
    if _REPORTED in columns:
        # All is recomputed there, to be compared with what was reported.
        sums.pop("recomputed_usd", None)
    said = []
    if sums.get("recomputed_usd"):
        said.append(f"${_money(float(sums['recomputed_usd']))} of it is recomputed from tokens and prices")
    if sums.get("unpriced"):
        many = sums["unpriced"] != 1
        said.append(
            f"{sums['unpriced']} {'requests have' if many else 'request has'} no known cost and"
            f" {'are' if many else 'is'} not in it"
        )
    return f"Cost: {'; '.join(said)}." if said else ""


def fitted(shown: Shown, wide: Iterable[str] = (), width: int = WIDTH) -> Shown:
    """Return the table cut to a width: cells of text are shortened, then columns go, those of `wide` first."""
    columns = list(range(len(shown.columns)))
    longest = [_longest(shown, place) for place in columns]
    least = [
        size
        if shown.numbers[place] or shown.times[place]
        else min(size, _LEAST_OF.get(shown.columns[place], _LEAST))
        for place, size in zip(columns, longest, strict=True)
    ]
    leaving = [place for name in wide for place in columns if shown.columns[place] == name]
    leaving += [
        place
        for is_sentence in (False, True)
        for place in reversed(columns[1:])
        if place not in leaving and (shown.columns[place] in _SENTENCES) == is_sentence
    ]
    while len(columns) > 1 and _across(least[place] for place in columns) > width:
        columns.remove(leaving.pop(0))
    widths = {place: longest[place] for place in columns}
    while _across(widths.values()) > width:
        widest = max(columns, key=lambda place: (widths[place] > least[place], widths[place]))
        if widths[widest] <= least[widest]:
            break
        widths[widest] -= 1
    return Shown(
        tuple(shown.columns[place] for place in columns),
        tuple(tuple(_short(row[place], widths[place]) for place in columns) for row in shown.rows),
        tuple(shown.numbers[place] for place in columns),
        tuple(shown.times[place] for place in columns),
        tuple(name for place, name in enumerate(shown.columns) if place not in columns),
    )


def text(shown: Shown) -> str:
    """Return the table as lines: headings, a rule, the rows. A long heading stands on several lines."""
    heads = [_head(shown, place) for place in range(len(shown.columns))]
    height = max((len(parts) for parts in heads), default=0)
    widths = [_longest(shown, place) for place in range(len(heads))]
    lines = [
        line((([""] * (height - len(parts)) + parts)[row] for parts in heads), widths, shown.numbers)
        for row in range(height)
    ]
    lines.append(_GAP.join("─" * width for width in widths))
    lines += [line(row, widths, shown.numbers) for row in shown.rows]
    return "".join(f"{one}\n" for one in lines)


def markdown(shown: Shown) -> str:
    """Return the table in Markdown, each cell on one line and escaped where a pipe would end it."""
    lines = [
        list(shown.columns),
        ["-:" if is_number else ":-" for is_number in shown.numbers],
        *(list(row) for row in shown.rows),
    ]
    shown_lines = [
        [cell if place == 1 else cell.replace("\\", "\\\\").replace("|", "\\|") for cell in line]
        for place, line in enumerate(lines)
    ]
    return "".join(
        f"|{'|'.join(line)}|\n" if place == 1 else f"| {' | '.join(line)} |\n"
        for place, line in enumerate(shown_lines)
    )


def replaced(shown: Shown, names: Mapping[str, str]) -> Shown:
    """Return the table with other headings."""
    return replace(shown, columns=tuple(names.get(name, name) for name in shown.columns))


def _is_unspent(name: str, place: int, rows: Sequence[Sequence[Any]]) -> bool:
    return name in _UNSPENT and not any(row[place] for row in rows)


def _cell(name: str, value: Any, *, is_dollars: bool, is_money: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        named = short_id(value) if name in _IDS else alias(value) if name in _USERS else value
        return visible(named, _CELL)
    is_float = isinstance(value, float | Decimal)
    if is_float and (is_money or _MONEY.search(name) or (is_dollars and name in _MONEY_TOO)):
        return _money(float(value))
    if is_float:
        return _rounded(float(value))
    if isinstance(value, datetime) and name in _MINUTES:
        return f"{value:%Y-%m-%d %H:%M}"
    return _exact(value)


def _exact(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S") + (
            f".{value.microsecond // 1000:03}" if value.microsecond else ""
        )
    return str(scalar(value, _CELL))


def _money(value: float) -> str:
    """Return dollars with cents, or with four digits when they are less than one."""
    return f"{value:.{_CENT}f}" if abs(value) >= 1 else _rounded(value)


def _rounded(value: float) -> str:
    """Return a number with four digits, none of them after the point when it is large."""
    if value != value or abs(value) == float("inf"):  # noqa: PLR0124  not a number
        return ""
    if abs(value) >= _THOUSAND:
        return f"{value:.0f}"
    short = f"{float(f'{value:.4g}'):.12f}".rstrip("0").rstrip(".")
    return "0" if short in {"-0", ""} else short


def _head(shown: Shown, place: int) -> list[str]:
    """Return the lines of a heading: its words, as many on each as the cells are wide."""
    name = shown.columns[place]
    width = max((length(row[place]) for row in shown.rows), default=len(name))
    lines: list[str] = []
    for word in name.split("_"):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f"_{word}"
        else:
            lines.append(word)
    return lines


def _longest(shown: Shown, place: int) -> int:
    return max(
        1, *(len(part) for part in _head(shown, place)), *(length(row[place]) for row in shown.rows), 1
    )


def _across(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + len(_GAP) * (len(found) - 1)


def line(cells: Iterable[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    """Return cells as a line of columns of these widths, numbers at the right."""
    padded = (
        " " * (width - length(cell)) + cell if is_number else cell + " " * (width - length(cell))
        for cell, width, is_number in zip(cells, widths, numbers, strict=True)
    )
    return _GAP.join(padded).rstrip()


def _short(cell: str, width: int) -> str:
    if length(cell) <= width:
        return cell
    taken, room = "", width - 1
    for letter in cell:
        room -= length(letter)
        if room < 0:
            break
        taken += letter
    return f"{taken}…"


def length(cell: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if cell.isascii():
        return len(cell)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in cell
    )
