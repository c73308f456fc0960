"""What was found in a series, in a sentence with its unit."""

from typing import Final

_TIMES: Final = 1.5
_UNITS: Final = {"s": "s", "By": "bytes", "ms": "ms", "1": "", "%": "%", "USD": "USD", "Cel": "°C"}
"""UCUM codes as they are read."""
_RISES: Final = {
    "spike": "rose to",
    "drop": "fell to",
    "level_up": "went up to about",
    "level_down": "went down to about",
    "trend_up": "climbed steadily to",
    "trend_down": "declined steadily to",
}


def number(value: float, unit: str = "") -> str:
    """Return a number with four significant digits and its unit."""
    text = f"{value:,.0f}" if abs(value) >= 10_000 and abs(value) < 1e15 else f"{value:.4g}"  # noqa: PLR2004
    shown = _UNITS.get(unit, unit)
    return f"{text} {shown}".rstrip()


def described(
    kind: str, value: float, usual: float, expected: tuple[float, float], points: int, name: str, unit: str
) -> str:
    """Return what happened: the value, how it compares with what is usual, and what was expected."""
    subject = name or "The value"
    usually = number(usual, unit)
    if usual > 0 and value / usual >= _TIMES:
        compared = f"{value / usual:.1f} times the usual {usually}"
    elif usual > 0 and value >= 0 and value / usual <= 1 / _TIMES:
        compared = f"{value / usual:.0%} of the usual {usually}"
    else:
        away = number(abs(value - usual), unit)
        compared = f"{away} {'above' if value > usual else 'below'} the usual {usually}"
    lasted = f", over {points:,} points" if points > 1 else ""
    low, high = (number(bound) for bound in expected)
    return f"{subject} {_RISES[kind]} {number(value, unit)}, {compared}{lasted} (expected {low} to {high})."
