"""Pictures as SVG: each has a title and a text that says what it shows, and colours that the style sheet gives.

A chart repeats a table's figures; nothing is told by a chart alone. Nothing here needs a script. Texts are escaped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

_WIDTH: Final = 720.0
_HEIGHT: Final = 140.0
_LEFT: Final = 52.0
_BOTTOM: Final = 22.0
_TOP: Final = 10.0
_MOST_TICKS: Final = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """A step of time: its label, its value, and what a reader is told of it."""

    label: str
    value: float
    words: str


def bars(title: str, steps: Sequence[Bar], unit: str = "") -> Markup:
    """Return a chart of values by time, the earliest first; an empty one for no steps."""
    if not steps:
        return Markup("")
    top = _nice(max(step.value for step in steps))
    width = (_WIDTH - _LEFT) / len(steps)
    height = _HEIGHT - _TOP - _BOTTOM
    peak = max(steps, key=lambda step: step.value)
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
            int(_WIDTH), int(_HEIGHT), f"{title}: {len(steps)} steps, the most is {peak.words}."
        )
    ]
    for share in (0.0, 0.5, 1.0):
        y = _TOP + height * (1 - share)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(_LEFT, _WIDTH, y, y)
        )
        parts.append(
            Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                _LEFT - 6, y + 4, _short(top * share, unit)
            )
        )
    for place, step in enumerate(steps):
        tall = height * step.value / top if top else 0.0
        x = _LEFT + place * width
        parts.append(
            Markup(
                '<rect class="bar" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"><title>{}</title></rect>'
            ).format(x + width * 0.08, _TOP + height - tall, max(width * 0.84, 0.5), tall, step.words)
        )
    every = math.ceil(len(steps) / _MOST_TICKS)
    parts.extend(
        Markup('<text class="tick" x="{:.1f}" y="{}">{}</text>').format(
            _LEFT + place * width, int(_HEIGHT) - 6, steps[place].label
        )
        for place in range(0, len(steps), every)
    )
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def share(percent: float | None) -> Markup:
    """Return a bar of a percentage, for a cell that has the number beside it."""
    if percent is None or not math.isfinite(percent):
        return Markup("")
    long = min(max(percent, 0.0), 100.0)
    return Markup(
        '<svg class="share" viewBox="0 0 100 8" aria-hidden="true" preserveAspectRatio="none">'
        '<rect class="track" width="100" height="8"/><rect class="bar" width="{:.1f}" height="8"/></svg>'
    ).format(long)


def _nice(most: float) -> float:
    """Return a round number that is not smaller."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= most * 0.999999)


def _short(value: float, unit: str) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{unit}{value / size:g}{letter}"
    return f"{unit}{value:.3g}" if value else f"{unit}0"
