"""The charts of a report, as SVG in the page, and as characters in Markdown: no script, no network, nothing to install.

Colours are the page's CSS variables, so charts follow the page into dark mode and print. Each mark has a description in
words, for screen readers and for a pointer that rests on it. Texts come from telemetry: each is escaped.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup

from access.report import blocks
from access.report.document import Chart
from access.report.numbers import Kind, shown
from access.report.period import Period
from access.text import visible

_WIDTH: Final = 940
_COLORS: Final = [f"var(--series-{number})" for number in range(1, 8)]
_OTHER: Final = "other"
_LONG: Final = 34
"""Characters of a name; longer ones are cut."""
_MOST_BARS: Final = 100
_YEAR: Final = timedelta(days=330)
"""From this length on, the same day of the year could appear twice."""
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# Pixels. A character of the page's font is some 7 wide at 12 pixels; fonts differ, so there is room to spare.
_CHARACTER: Final = 7.4
_AXIS: Final = 80
_PLOT: Final = 210
_LEGEND_ROW: Final = 22
_BELOW: Final = 24
_TICKS: Final = 4
_ROUND: Final = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)
_BAR: Final = 24
_NAMES: Final = 270
_LONGEST_BAR: Final = 480
_CELL: Final = 20
_FAINTEST: Final = 0.07
_STYLE: Final = Markup(
    "<style>text{font:12px system-ui,sans-serif;fill:var(--ink)}.soft{font-size:11px;fill:var(--soft)}"
    ".line{stroke:var(--line)}</style>"
)

Step = tuple[datetime, str, float]
"""When, what, and how much."""


def over_time(steps: Iterable[Step], period: Period, title: str, kind: Kind, *, most: int = 6) -> Chart:
    """Return a chart of stacked bars, one a day, or one an hour in a short period; small series are added up as one."""
    cells: defaultdict[tuple[str, str], float] = defaultdict(float)
    names = _series(steps := list(steps), most)
    for moment, series, value in steps:
        cells[_label(moment, period), series if series in names else _OTHER] += value
    labels = _labels(period)
    colors = dict(zip(names, [*_COLORS[: len(names)]], strict=False)) | {_OTHER: "var(--series-other)"}
    legend, top = _legend(names, colors) if len(names) > 1 else ([], 8.0)
    scale = _round_above(max((sum(cells[label, name] for name in names) for label in labels), default=0))
    parts = [*legend, *_grid(scale, kind, top)]
    wide = (_WIDTH - _AXIS) / max(len(labels), 1)
    for place, label in enumerate(labels):
        x, y = _AXIS + place * wide, top + _PLOT
        for name in names:
            if value := cells[label, name]:
                tall = _PLOT * value / scale
                y -= tall
                words = f"{label}, {_name(name)}: {shown(kind, value)}"
                parts.append(_mark(words, x + wide * 0.12, y, wide * 0.76, tall, colors[name]))
    room = max(map(len, labels), default=0) * _CHARACTER + 12
    parts += [
        _text(_AXIS + (place + 0.5) * wide, top + _PLOT + 17, labels[place], "middle")
        for place in range(0, len(labels), max(1, math.ceil(room / wide)))
    ]
    sums = [(label, sum(cells[label, name] for name in names)) for label in labels]
    return _chart(title, _WIDTH, top + _PLOT + _BELOW, parts, blocks.bars(sums, kind))


def ranked(rows: Sequence[tuple[str, float, str]], title: str, color: int = 0) -> Chart:
    """Return a chart of horizontal bars in the given order, each between its name and its text."""
    most = max((value for _, value, _ in rows), default=0) or 1
    parts = []
    for place, (name, value, text) in enumerate(rows):
        y, long = 4 + place * _BAR, _LONGEST_BAR * value / most
        parts += [
            _text(_NAMES - 8, y + 16, _name(name), "end", soft=False),
            _mark(f"{_name(name)}: {visible(text)}", _NAMES, y + 4, long, _BAR - 8, _COLORS[color]),
            _text(_NAMES + long + 6, y + 16, visible(text), "start"),
        ]
    return _chart(title, _WIDTH, 8 + len(rows) * _BAR, parts)


def by_hour_of_week(steps: Iterable[tuple[datetime, float]], title: str) -> Chart:
    """Return a chart with a cell for each hour of each day of the week, darker for a larger value."""
    cells: defaultdict[tuple[int, int], float] = defaultdict(float)
    for moment, value in steps:
        cells[moment.weekday(), moment.hour] += value
    most = max(cells.values(), default=0) or 1
    left, wide = 44, (_WIDTH - 44) / 24
    parts = []
    for day, name in enumerate(_WEEKDAYS):
        y = 4 + day * _CELL
        parts.append(_text(left - 8, y + 14, name, "end"))
        for hour in range(24):
            value = cells[day, hour]
            shade = _FAINTEST + (1 - _FAINTEST) * value / most
            x = left + hour * wide
            words = f"{name} {hour}:00: {shown(Kind.COUNT, value)}"
            parts.append(_mark(words, x + 2, y + 1.5, wide - 4, _CELL - 3, _COLORS[0], shade))
    below = 4 + 7 * _CELL + 14
    parts += [_text(left + (hour + 0.5) * wide, below, str(hour), "middle") for hour in range(24)]
    parts.append(_text(left + 12 * wide, below + 20, "hour of the day, UTC", "middle"))
    return _chart(title, _WIDTH, below + 28, parts, blocks.week(cells, _WEEKDAYS))


def _series(steps: Sequence[Step], most: int) -> list[str]:
    """Return the names of the largest series, and one for all others where these are more than one."""
    totals: defaultdict[str, float] = defaultdict(float)
    for _, series, value in steps:
        totals[series] += value
    ordered = sorted(totals, key=lambda series: (-totals[series], series))
    return ordered if len(ordered) <= most + 1 else [*ordered[:most], _OTHER]


def _legend(names: Sequence[str], colors: dict[str, str]) -> tuple[list[Markup], float]:
    """Return a legend above the plot, and where it ends."""
    parts, x, y = [], float(_AXIS), 4.0
    for name in names:
        wide = 18 + len(_name(name)) * _CHARACTER + 18
        if x + wide > _WIDTH and x > _AXIS:
            x, y = float(_AXIS), y + _LEGEND_ROW
        parts += [_box(x, y, 11, 11, colors[name]), _text(x + 17, y + 10, _name(name), "start", soft=False)]
        x += wide
    return parts, y + _LEGEND_ROW + 8


def _grid(scale: float, kind: Kind, top: float) -> Iterable[Markup]:
    for tick in range(_TICKS + 1):
        y = top + _PLOT * (1 - tick / _TICKS)
        yield Markup('<line class="line" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
            _AXIS, _WIDTH, y, y
        )
        value = scale * tick / _TICKS
        # Counts have no halves.
        if kind is not Kind.COUNT or value == int(value):
            yield _text(_AXIS - 8, y + 4, shown(kind, value), "end")


def _mark(words: str, x: float, y: float, wide: float, tall: float, color: str, shade: float = 1) -> Markup:
    """Return a rectangle with its description."""
    return Markup(
        '<g role="graphics-symbol" aria-roledescription="bar" aria-label="{}"><title>{}</title>{}</g>'
    ).format(words, words, _box(x, y, wide, tall, color, shade))


def _box(x: float, y: float, wide: float, tall: float, color: str, shade: float = 1) -> Markup:
    opacity = Markup("") if shade == 1 else Markup(' fill-opacity="{:.2f}"').format(shade)
    return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2" fill="{}"{}/>').format(
        x, y, max(wide, 0.5), tall, color, opacity
    )


def _text(x: float, y: float, text: str, anchor: str, *, soft: bool = True) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}"{} aria-hidden="true">{}</text>').format(
        x, y, anchor, Markup(' class="soft"') if soft else "", text
    )


def _chart(
    title: str, wide: float, tall: float, parts: Iterable[Markup], lines: tuple[str, ...] = ()
) -> Chart:
    whole = Markup(
        '<svg viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" height="{:.0f}" role="graphics-document"'
        ' aria-roledescription="chart" aria-label="{}">{}{}</svg>'
    ).format(wide, tall, wide, tall, title, _STYLE, Markup("").join(parts))
    return Chart(whole, title, lines)


def _round_above(value: float) -> float:
    """Return a round number that is not smaller, and whose quarters are round too."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _ROUND if step * power >= value * (1 - 1e-9))


def _name(text: str) -> str:
    shown_text = visible(text)
    return shown_text if len(shown_text) <= _LONG else f"{shown_text[: _LONG - 1]}…"


def _step(period: Period) -> timedelta:
    """Return the length of time of one bar: an hour, a day, or several days in a long period."""
    if period.is_short:
        return timedelta(hours=1)
    return timedelta(days=1 + (period.until - period.since).days // _MOST_BARS)


def _first(period: Period) -> datetime:
    return period.since if period.is_short else period.since.replace(hour=0, minute=0, second=0)


def _labels(period: Period) -> list[str]:
    count = -((_first(period) - period.until) // _step(period))
    return [_label(_first(period) + number * _step(period), period) for number in range(count)]


def _label(moment: datetime, period: Period) -> str:
    first, step = _first(period), _step(period)
    begins = first + (moment - first) // step * step
    if period.is_short:
        return f"{begins:%d %b %Hh}"
    return f"{begins:%d %b}" if period.until - period.since < _YEAR else f"{begins:%d %b %Y}"
