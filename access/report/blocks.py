"""The charts of a report in Markdown: characters in a block of code, for a terminal or GitHub.

They hold days, hours and numbers, and no text of telemetry.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from access.report.numbers import Kind, shown

_WIDE: Final = 40
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_SHADES: Final = "·░▒▓█"
"""None, and up to a quarter, a half, three quarters and all of the most."""
_HOURS: Final = 24
_EACH: Final = 3


def bars(rows: Sequence[tuple[str, float]], kind: Kind) -> tuple[str, ...]:
    """Return a line for each row: its label, a bar, and its value."""
    most = max((value for _, value in rows), default=0) or 1
    wide = max((len(label) for label, _ in rows), default=0)
    said = [shown(kind, value) for _, value in rows]
    room = max(map(len, said), default=0)
    return tuple(
        f"{label:<{wide}}  {words:>{room}}  {_bar(value / most)}".rstrip()
        for (label, value), words in zip(rows, said, strict=True)
    )


def week(cells: Mapping[tuple[int, int], float], days: Sequence[str]) -> tuple[str, ...]:
    """Return a line for each day of the week, with two characters an hour, darker for a larger value."""
    most = max(cells.values(), default=0) or 1
    head = "".join(f"{hour:<{2 * _EACH}}" for hour in range(0, _HOURS, _EACH))
    lines = [
        f"{name}  {''.join(2 * _shade(cells.get((day, hour), 0) / most) for hour in range(_HOURS))}"
        for day, name in enumerate(days)
    ]
    return (f"UTC  {head}".rstrip(), *lines)


def _bar(share: float) -> str:
    eighths = round(_WIDE * 8 * max(share, 0))
    # What is not 0 is seen.
    eighths = max(eighths, 1) if share > 0 else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _shade(share: float) -> str:
    return _SHADES[0] if share <= 0 else _SHADES[min(4, 1 + int(share * 4))]
