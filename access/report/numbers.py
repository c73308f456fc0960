"""How a report writes numbers and other values."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from access.ids import alias

_MS_IN_A_SECOND: Final = 1_000
_MS_IN_A_MINUTE: Final = 60_000
_CENT: Final = 0.01
_LONG: Final = 80
_HASH: Final = "sha256:"


class Kind(StrEnum):
    """The kind of a value, which decides how it is written."""

    TEXT = "text"
    COUNT = "count"
    TOKENS = "tokens"
    USD = "usd"
    PERCENT = "percent"
    CHANGE = "change"
    MS = "ms"
    ID = "id"

    @property
    def is_number(self) -> bool:
        """Whether it is aligned to the right."""
        return self not in {Kind.TEXT, Kind.ID}


def shown(kind: Kind, value: Any) -> str:
    """Return a value as text; an unknown one is a dash."""
    return "-" if value is None or value == "" else _WRITE[kind](value)


def earlier(kind: Kind, value: Any) -> str:
    """Return a value of the period before; where nothing was recorded, it is not 0."""
    return "no data" if value is None or value == "" else shown(kind, value)


def many(count: float, one: str, several: str = "") -> str:
    """Return a count with its noun, in the singular or the plural."""
    return f"{_count(count)} {one if count == 1 else several or one + 's'}"


def _text(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _usd(value: float) -> str:
    return f"${value:,.2f}" if value >= _CENT or value == 0 else f"${value:.4f}"


def _percent(value: float) -> str:
    return f"{value:.1f}%"


def _change(value: float) -> str:
    return f"{value:+.0f}%" if round(value) else "±0%"


def _tokens(value: float) -> str:
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.1f}{unit}"
    return f"{value:.0f}"


def _duration(ms: float) -> str:
    if ms < _MS_IN_A_SECOND:
        return f"{ms:.0f} ms"
    if ms < _MS_IN_A_MINUTE:
        return f"{ms / _MS_IN_A_SECOND:.1f} s"
    return f"{ms / _MS_IN_A_MINUTE:.1f} min"


def _short(identifier: object) -> str:
    named = alias(str(identifier))
    if named != identifier:
        return named
    bare = str(identifier).removeprefix("hmac-").removeprefix(_HASH)
    return bare if len(bare) <= 12 else f"{bare[:8]}…"  # noqa: PLR2004  a short id is not a hash


_WRITE: Final[Mapping[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: _text,
    Kind.ID: _short,
    Kind.COUNT: _count,
    Kind.TOKENS: _tokens,
    Kind.USD: _usd,
    Kind.PERCENT: _percent,
    Kind.CHANGE: _change,
    Kind.MS: _duration,
}
