"""The charts of a report are drawn apart: a renderer that dies or hangs costs one chart, and texts are made visible."""

import json
import re
from datetime import UTC, datetime

import pytest

from access.report import charts
from access.report.document import Document, Section
from access.report.drawing import draw
from access.report.page import page
from access.text import visible

GOOD = charts.ranked([("Bash", 1.0, "one")], "A chart")
# Vega writes it into the SVG as it is, and the part that reads the SVG dies.
DEADLY = charts.ranked([("Bash\x1b", 1.0, "hunter2")], "A chart that kills the renderer")
# A regular expression that tries 2^60 ways.
ENDLESS = json.dumps(
    {
        "data": {"values": [{"text": f"{'a' * 60}!"}]},
        "transform": [{"calculate": "test(/^(a+)+$/, datum.text)", "as": "x"}],
        "mark": "bar",
        "encoding": {"x": {"field": "x"}},
    }
)
# Enough to start a process and draw two charts on a busy machine.
SLOW = 10.0


def test_charts_are_drawn_in_order() -> None:
    """Each as one SVG, as it was asked for; none for none."""
    drawn = draw([GOOD.spec, charts.ranked([("Read", 1.0, "one")], "Another").spec])
    assert [re.findall(r"Bash|Read", svg or "")[0] for svg in drawn] == ["Bash", "Read"]
    assert all(svg and svg.startswith("<svg") for svg in drawn)
    assert draw([]) == []


@pytest.mark.parametrize(
    "bad", [DEADLY.spec, "{}", "no JSON", ENDLESS], ids=("deadly", "empty", "broken", "endless")
)
def test_a_chart_that_cannot_be_drawn_is_left_out(bad: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Whether the renderer refuses it, dies of it or does not end; those before and after it are drawn."""
    drawn = draw([GOOD.spec, bad, GOOD.spec, bad], SLOW)
    assert [svg is not None for svg in drawn] == [True, False, True, False]
    assert capfd.readouterr() == ("", ""), "the renderer's last words can quote telemetry"


def test_the_page_says_which_chart_is_missing() -> None:
    """In its place, below its title."""
    section = Section("Errors", "errors", (), (GOOD, DEADLY))
    made = page(Document("Report", "now", "everybody", (), sections=(section,)))
    assert made.count("<svg") == 1
    titles = re.findall(r"<figcaption>(.*?)</figcaption>\s*<(\w+)", made)
    assert titles == [("A chart", "div"), ("A chart that kills the renderer", "p")]
    assert "This chart could not be drawn. Its numbers are in the tables." in made


CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n\r"]
NONE = [chr(code) for code in (*range(0xFDD0, 0xFDF0), 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF, 0xD800, 0xDFFF)]


def test_visible_texts_can_be_drawn() -> None:
    """All that a name can be made of, in each kind of chart."""
    name = visible("".join(CONTROLS + NONE) + "\t\r\n\u2028\u202e\ufeff")
    moment = datetime(2026, 11, 22, 10, tzinfo=UTC)
    period = charts.Period(moment.replace(hour=0), moment.replace(hour=20))
    drawn = draw(
        [
            charts.ranked([(name[start : start + 30], 1.0, name)], "names").spec
            for start in range(0, len(name), 30)
        ]
        + [charts.over_time([(moment, name, 1.0), (moment, "b", 2.0)], period, "t", "axis", ",.0f").spec]
    )
    assert None not in drawn
