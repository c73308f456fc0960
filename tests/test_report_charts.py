"""The charts of a report: whatever a name holds, the page reads them; each mark has its description."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from access.report import charts
from access.report.document import Chart
from access.report.numbers import Kind
from access.report.period import Period
from access.text import visible

DAY = datetime(2026, 11, 22, tzinfo=UTC)
WEEK = Period(DAY, DAY + timedelta(days=7))
CONTROLS = [chr(code) for code in range(0xA0) if not chr(code).isprintable()]
NONE = [chr(code) for code in (*range(0xFDD0, 0xFDF0), 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF, 0xD800, 0xDFFF)]
NAMES = {
    "controls": "".join(CONTROLS),
    "no characters": "".join(NONE),
    "markup": "</text><script>alert(1)</script>\"'&amp;",
    "right to left": "\u202e\u2066gnp",
    "long": "x" * 500,
    "empty": "",
}


def marks(chart: Chart) -> dict[str, ET.Element]:
    """Parse a chart and return its rectangles by what they say; there is one title, and no element that acts."""
    root = ET.fromstring(str(chart.svg))  # noqa: S314  our own
    assert root.attrib["aria-label"] == chart.title
    assert {element.tag for element in root.iter()} <= {"svg", "style", "g", "title", "rect", "text", "line"}
    found = {}
    for group in root.iter("g"):
        said, box = group.attrib["aria-label"], group.find("rect")
        assert box is not None
        assert said == group.findtext("title") == visible(said)
        found[said] = box
    return found


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_can_be_drawn(name: str) -> None:
    """It is shown as text, on a page that XML can read."""
    steps = [(DAY, name, 1.0), (DAY, "b", 2.0)]
    for chart in (
        charts.ranked([(name, 1.0, name)], "title"),
        charts.over_time(steps, WEEK, "title", Kind.COUNT),
    ):
        assert marks(chart)


def test_bars_are_stacked_to_scale() -> None:
    """A bar's height is its share of the axis, which ends at a round number; the largest series is at the bottom."""
    steps = [(DAY, "a", 60.0), (DAY, "b", 20.0), (DAY + timedelta(days=1), "b", 10.0)]
    found = marks(charts.over_time(steps, WEEK, "Cost", Kind.USD))
    assert set(found) == {"22 Nov, a: $60.00", "22 Nov, b: $20.00", "23 Nov, b: $10.00"}
    tall = {words: float(box.attrib["height"]) for words, box in found.items()}
    assert tall["22 Nov, a: $60.00"] == pytest.approx(210 * 60 / 80, abs=0.1)
    assert tall["22 Nov, a: $60.00"] == pytest.approx(6 * tall["23 Nov, b: $10.00"], abs=0.6)
    bottom = found["22 Nov, a: $60.00"].attrib
    above = found["22 Nov, b: $20.00"].attrib
    assert float(above["y"]) + float(above["height"]) == pytest.approx(float(bottom["y"]), abs=0.2)
    assert above["x"] == bottom["x"]


def test_small_series_are_added_up() -> None:
    """Six have a colour of their own, and the others are one."""
    steps = [(DAY, f"s{number}", float(20 - number)) for number in range(9)]
    found = marks(charts.over_time(steps, WEEK, "Cost", Kind.COUNT))
    assert len(found) == 7
    assert "22 Nov, other: 39" in found
    assert len({box.attrib["fill"] for box in found.values()}) == 7


def test_nothing_can_be_drawn() -> None:
    """No rows, and values of 0."""
    assert marks(charts.ranked([], "t")) == {}
    assert marks(charts.over_time([], WEEK, "t", Kind.COUNT)) == {}
    assert float(marks(charts.ranked([("a", 0.0, "0")], "t"))["a: 0"].attrib["width"]) < 1


def test_hours_of_the_week_are_darker_for_more() -> None:
    """A cell for each, on its weekday: 22 November 2026 was a Sunday."""
    found = marks(
        charts.by_hour_of_week([(DAY.replace(hour=9), 4.0), (DAY.replace(hour=10), 2.0)], "Prompts")
    )
    assert len(found) == 7 * 24
    shade = {words: float(box.attrib.get("fill-opacity", 1)) for words, box in found.items()}
    assert shade["Sun 9:00: 4"] == 1
    assert 0.5 < shade["Sun 10:00: 2"] < 0.6
    assert shade["Mon 9:00: 0"] < 0.1
