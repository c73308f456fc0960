"""How a value of an answer is written on the page, and where it leads: a session to its replay, a trace to its spans.

Units are read off the columns' names, which the library keeps to: `usd`, `…_percent`, `ms`, `…_seconds`, `…tokens`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from access.answer import Answer, scalar
from access.report.numbers import Kind, shown
from web.page.charts import share
from web.page.filters import Filters

_CELL: Final = 300
_LONG: Final = 40
_NAME: Final = 26
"""A text that is no longer is not broken into lines: a model's name would be, at each hyphen."""
_SHORT: Final = 8
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?Z)?")
_HASH: Final = re.compile(r"(?:hmac-)?sha256:[0-9a-f]{16,}|[0-9a-f]{32,64}")
_KINDS: Final[Mapping[str, Kind]] = {
    "usd": Kind.USD,
    "percent": Kind.PERCENT,
    "change_percent": Kind.CHANGE,
    "ms": Kind.MS,
    "tokens": Kind.TOKENS,
}
_IDS: Final = frozenset(
    {"session", "session_id", "worst_session", "user", "user_id", "trace", "trace_id", "prompt"}
)
_SESSIONS: Final = frozenset({"session", "session_id", "worst_session"})
_TRACES: Final = frozenset({"trace", "trace_id"})
_UNKNOWN: Final = "-"


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as it is shown. `sort` orders it in a table; `href` is empty where it leads nowhere."""

    text: str
    title: str = ""
    href: str = ""
    is_number: bool = False
    is_short: bool = False
    sort: str = ""
    bar: Any = ""

    @property
    def style(self) -> str:
        """The class of its column's width."""
        if self.is_number or self.is_short:
            return "n" if self.is_number else "t"
        return "long" if len(self.text) > _LONG else "mid" if len(self.text) > _NAME else ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of an answer: columns, with what they mean, and rows of cells."""

    columns: tuple[tuple[str, str, bool], ...]
    """Each column's name, what it means, and whether it holds numbers."""
    rows: tuple[tuple[Cell, ...], ...]


def grid(
    answer: Answer,
    meanings: Mapping[str, str],
    filters: Filters,
    columns: Sequence[str] | None = None,
    bar: str = "",
    links: Mapping[str, Callable[[Any], str]] | None = None,
) -> Grid:
    """Return an answer's rows as cells, of all its columns or of those named. `bar` names a column drawn as bars too.

    `links` has for a column what makes an address of a value.
    """
    wanted = [name for name in (columns or answer.columns) if name in answer.columns]
    places = [answer.columns.index(name) for name in wanted]
    rows = tuple(
        tuple(
            cell(name, row[place], filters, has_bar=name == bar, link=(links or {}).get(name))
            for name, place in zip(wanted, places, strict=True)
        )
        for row in answer.rows
    )
    numbers = [any(row[place].is_number for row in rows) for place in range(len(wanted))]
    return Grid(
        tuple(
            (name, meanings.get(name, ""), is_number) for name, is_number in zip(wanted, numbers, strict=True)
        ),
        rows,
    )


def cell(
    name: str,
    value: Any,
    filters: Filters,
    *,
    has_bar: bool = False,
    link: Callable[[Any], str] | None = None,
) -> Cell:
    """Return a value as a cell."""
    if value is None or value == "":
        return Cell(_UNKNOWN if value is None else "")
    href = link(value) if link else _href(name, value, filters)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", href=href)
    if isinstance(value, int | float):
        kind = kind_of(name)
        text = shown(kind, value) if kind else number(value)
        bar = share(float(value)) if has_bar else ""
        return Cell(text, f"{value:,.10g}", href, is_number=True, sort=f"{value:.10g}", bar=bar)
    text = str(scalar(value, _CELL))
    at = moment_of(text)
    if at is not None:
        return Cell(when(at), text, href, sort=text, is_short=True)
    if name in _IDS or is_hash(text):
        short = short_id(text) if name in _TRACES else shown(Kind.ID, text)
        return Cell(short, text, href, is_short=len(short) <= _NAME)
    return Cell(text, "", href, is_short=len(text) <= _NAME)


def is_hash(text: str) -> bool:
    """Whether a text is a hash, which says nothing to a reader."""
    return _HASH.fullmatch(text) is not None


def kind_of(name: str) -> Kind | None:
    """Return a column's kind by its name, None where a plain number says it."""
    for ending, kind in (("change_percent", Kind.CHANGE), *_KINDS.items()):
        if name == ending or name.endswith(f"_{ending}"):
            return kind
    if name.startswith("usd"):
        return Kind.USD
    return Kind.TOKENS if "tokens" in name else None


def number(value: float) -> str:
    """Return a number as people read it: whole ones with separators, others with four digits."""
    if isinstance(value, int) or value.is_integer():
        return f"{value:,.0f}"
    return f"{value:,.4g}"


def when(value: datetime | date) -> str:
    """Return a time in UTC to the second, a day as it is."""
    if not isinstance(value, datetime):
        return value.isoformat()
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return aware.strftime("%Y-%m-%d %H:%M:%S")


def moment_of(text: str) -> datetime | date | None:
    """Return the time or the day that a cell of an answer holds, None for any other text."""
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
    except ValueError:
        return None


def short_id(text: str) -> str:
    """Return the beginning of an id of hexadecimal digits, which is no hash of a person."""
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}…"


def session_href(session: Any) -> str:
    """Return the address of a session's replay."""
    return "/session?" + urlencode({"id": str(session)})


def step_href(session: Any, step: int) -> str:
    """Return the address of the part of a session's replay that has this step."""
    return session_href(session) + (f"&step={step}" if step > 1 else "")


def trace_href(trace: Any) -> str:
    """Return the address of a trace's waterfall."""
    return "/trace?" + urlencode({"id": str(trace)})


def _href(name: str, value: Any, filters: Filters) -> str:
    if name in _SESSIONS:
        return session_href(value)
    if name in _TRACES:
        return trace_href(value)
    if name == "user":
        return "/sessions" + filters.query(user=str(value))
    if name in {"team", "project", "model"}:
        return "/sessions" + filters.query(**{name: str(value)})
    return ""
