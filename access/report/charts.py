"""The charts of a report: Vega-Lite descriptions, drawn by `drawing.py`, so that a page needs no script and no network.

Colours are the page's CSS variables, so charts follow the page into dark mode and print. Each mark has a description in
words, for screen readers. Texts come from telemetry: Vega takes them as data and escapes them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from access.report.document import Chart
from access.report.period import Period

_WIDTH: Final = 860
_COLORS: Final = [f"var(--series-{number})" for number in range(1, 8)]
_OTHER: Final = "other"
_LONG: Final = 34
_MOST_BARS: Final = 100
_YEAR: Final = timedelta(days=330)
"""From this length on, the same day of the year could appear twice."""
_CONFIG: Final[dict[str, Any]] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "labelPadding": 6,
        "titlePadding": 10,
    },
    "axisX": {"grid": False, "ticks": False},
    "axisY": {"domain": False, "ticks": False},
    "legend": {
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "symbolType": "square",
        "symbolSize": 90,
        "labelLimit": 220,
        "offset": 12,
        "columnPadding": 24,
        "columns": 4,
    },
    "bar": {"cornerRadiusEnd": 2},
    "text": {"fill": "var(--ink)"},
}

Step = tuple[datetime, str, float]
"""When, what, and how much."""


def over_time(
    steps: Iterable[Step], period: Period, title: str, axis: str, number: str, *, most: int = 6
) -> Chart:
    """Return a chart of stacked bars, one a day, or one an hour in a short period; small series are added up as one.

    `number` is a d3 format, such as `$,.0f`.
    """
    totals: defaultdict[str, float] = defaultdict(float)
    cells: defaultdict[tuple[str, str], float] = defaultdict(float)
    steps = list(steps)
    for _, series, value in steps:
        totals[series] += value
    ranked = sorted(totals, key=lambda series: (-totals[series], series))
    kept = ranked if len(ranked) <= most + 1 else ranked[:most]
    for moment, series, value in steps:
        cells[_label(moment, period), series if series in kept else _OTHER] += value
    labels = _labels(period)
    names = [*kept, *([_OTHER] if len(kept) < len(ranked) else [])]
    values = [
        {"when": label, "what": _cut(name), "rank": rank, "value": cells[label, name]}
        for label in labels
        for rank, name in enumerate(names)
        if cells[label, name]
    ]
    palette: dict[str, Any] = {
        "domain": [_cut(name) for name in names],
        "range": [*_COLORS[: len(kept)], "var(--series-other)"],
    }
    color = {"field": "what", "type": "nominal", "scale": palette}
    return Chart(
        _spec(
            {
                "width": _WIDTH,
                "height": 210,
                "data": {"values": values},
                "mark": {"type": "bar", "cornerRadiusEnd": 0},
                "encoding": {
                    "x": {
                        "field": "when",
                        "type": "ordinal",
                        "title": None,
                        "sort": None,
                        "scale": {"domain": labels, "paddingInner": 0.25, "paddingOuter": 0.1},
                        "axis": {"labelAngle": 0, "labelOverlap": True},
                    },
                    "y": {
                        "field": "value",
                        "type": "quantitative",
                        "title": axis,
                        "axis": {"format": number, "tickCount": 5},
                    },
                    "color": color if len(names) > 1 else {"value": _COLORS[0]},
                    "order": {"field": "rank", "type": "quantitative"},
                    "description": {"type": "nominal", "field": "said"},
                },
                "transform": [
                    {
                        "calculate": f"datum.when + ', ' + datum.what + ': ' + format(datum.value, '{number}')",
                        "as": "said",
                    }
                ],
            }
        ),
        title,
    )


def ranked(rows: Sequence[tuple[str, float, str]], title: str, color: int = 0) -> Chart:
    """Return a chart of horizontal bars in the given order, each between its name and its text."""
    values = [
        {"name": _cut(name), "place": place, "value": value, "text": text}
        for place, (name, value, text) in enumerate(rows)
    ]
    axis = {"labelLimit": 240, "domain": False, "labelFontSize": 12, "labelColor": "var(--ink)"}
    x = {"field": "value", "type": "quantitative", "title": None, "axis": None}
    return Chart(
        _spec(
            {
                "width": 560,
                # Fonts differ: a browser's may be wider than the one that the texts were measured with.
                "padding": {"left": 24, "right": 70, "top": 4, "bottom": 4},
                "height": {"step": 24},
                "data": {"values": values},
                "transform": [{"calculate": "datum.name + ': ' + datum.text", "as": "said"}],
                "encoding": {
                    "y": {
                        "field": "name",
                        "type": "nominal",
                        "title": None,
                        "axis": axis,
                        "sort": {"field": "place"},
                        "scale": {"paddingInner": 0.35},
                    },
                    "x": x,
                    "description": {"type": "nominal", "field": "said"},
                },
                "layer": [
                    {"mark": {"type": "bar", "color": _COLORS[color]}},
                    {
                        "mark": {
                            "type": "text",
                            "align": "left",
                            "dx": 6,
                            "fontSize": 11,
                            "fill": "var(--soft)",
                            "aria": False,
                        },
                        "encoding": {"text": {"field": "text", "type": "nominal"}},
                    },
                ],
            }
        ),
        title,
    )


def by_hour_of_week(steps: Iterable[tuple[datetime, float]], title: str) -> Chart:
    """Return a chart with a cell for each hour of each day of the week, darker for a larger value."""
    cells: defaultdict[tuple[int, int], float] = defaultdict(float)
    for moment, value in steps:
        cells[moment.weekday(), moment.hour] += value
    most = max(cells.values(), default=0) or 1
    values = [
        {
            "day": _WEEKDAYS[day],
            "hour": hour,
            "share": cells[day, hour] / most,
            "said": f"{_WEEKDAYS[day]} {hour}:00: {cells[day, hour]:.0f}",
        }
        for day in range(7)
        for hour in range(24)
    ]
    return Chart(
        _spec(
            {
                "width": _WIDTH,
                "height": {"step": 20},
                "data": {"values": values},
                "mark": {"type": "rect", "cornerRadius": 3, "fill": _COLORS[0]},
                "encoding": {
                    "x": {
                        "field": "hour",
                        "type": "ordinal",
                        "title": "hour of the day, UTC",
                        "scale": {"paddingInner": 0.12},
                        "axis": {"labelAngle": 0, "domain": False},
                    },
                    "y": {
                        "field": "day",
                        "type": "ordinal",
                        "title": None,
                        "sort": list(_WEEKDAYS),
                        "scale": {"paddingInner": 0.15},
                    },
                    "opacity": {
                        "field": "share",
                        "type": "quantitative",
                        "legend": None,
                        "scale": {"domain": [0, 1], "range": [0.07, 1]},
                    },
                    "description": {"field": "said", "type": "nominal"},
                },
            }
        ),
        title,
    )


_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _spec(spec: dict[str, Any]) -> str:
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": _CONFIG,
        "padding": 4,
        **spec,
    }
    return orjson.dumps(whole).decode()


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


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
