"""No answer is over its budget, whatever is in it, and what was left out is said."""

import itertools
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from access import budget
from access.answer import Answer, Table
from access.refusal import Refusal
from access.series import describe, thin
from tests.hostile import HIDDEN, LARGE, ORDERS, cells, judge, texts

START = datetime(2026, 11, 28, tzinfo=UTC)


@st.composite
def tables(draw: st.DrawFn, most: int = 4_000) -> Table:
    """Draw a table: a few rows of any cells, repeated."""
    columns = draw(st.lists(texts, max_size=draw(st.sampled_from([3, 12]))))
    columns *= draw(st.sampled_from([1, 1, 30]))
    width = len(columns)
    few = draw(st.lists(st.lists(cells, min_size=min(width, 6), max_size=min(width, 6)), max_size=3))
    rows = [(row * (width // max(1, len(row)) + 1))[:width] for row in few]
    return Table(
        tuple(columns),
        list(itertools.islice(itertools.cycle(rows), draw(st.integers(0, most)))) if rows else [],
    )


class Drawn:
    """An answer that hypothesis shows in part: whole ones have megabytes."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def __repr__(self) -> str:
        parts = (
            self.answer.columns,
            self.answer.rows[:3],
            self.answer.finding,
            self.answer.hints,
            self.answer.notes,
        )
        return f"{len(self.answer.rows)} rows: {str(parts)[:5_000]}"


@st.composite
def answers(draw: st.DrawFn) -> Drawn:
    main = draw(tables())
    answer = Answer(
        columns=main.columns,
        rows=main.rows,
        finding=draw(texts),
        tables=draw(st.dictionaries(texts, tables(300), max_size=3)),
        query_executed=draw(texts),
        parameters=draw(st.dictionaries(texts, texts, max_size=40)),
        hints=tuple(draw(st.lists(texts, max_size=20))),
        notes=tuple(draw(st.lists(texts, max_size=20))),
    )
    return Drawn(answer)


@settings(
    max_examples=40,
    # To shrink answers of megabytes takes minutes, and they are shown in part.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    answers(),
    st.sampled_from([budget.LEAST, budget.DEFAULT, budget.MOST, 0, 10**9]),
    st.sampled_from(["", "c" * 300]),
)
def test_no_answer_is_over_budget_unescaped_or_unmarked(drawn: Drawn, characters: int, cursor: str) -> None:
    """Whatever its columns, cells, hints and notes are."""
    answer = drawn.answer
    held = max(budget.LEAST, min(characters, budget.MOST))
    fitted = budget.fit(answer, characters, (lambda count: f"{cursor}{count}") if cursor else None)
    sent = judge(fitted, held)
    left = len(answer.rows) - len(sent["rows"])
    assert left >= 0
    if left:
        assert sent["truncated"]
        assert sent["has_more"]
        assert sent.get("next_cursor") == (f"{cursor}{len(sent['rows'])}" if cursor else None)


def test_a_hundred_thousand_names_are_a_page() -> None:
    """With the way to the rest."""
    answer = Answer(("name", "records"), [(f"name-{number}", number) for number in range(100_000)])
    sent = judge(budget.fit(answer, continue_at=str), budget.DEFAULT)
    assert len(sent["rows"]) > 500
    assert sent["next_cursor"] == str(len(sent["rows"]))
    assert sent["hints"] == [
        f"{len(sent['rows']):,} of 100,000 rows have room: pass next_cursor as cursor to go on after these."
    ]


def test_long_texts_are_cut_so_that_more_rows_have_room() -> None:
    """Each says how long it was."""
    sent = judge(budget.fit(Answer(("text",), [(LARGE,)] * 30)), budget.DEFAULT)
    assert len(sent["rows"]) == 30
    assert sent["rows"][0][0].endswith("…[5,242,880 characters]")
    assert len(sent["rows"][0][0]) == 400
    assert sent["truncated"]
    assert not sent["has_more"]
    assert "cut to 400 characters" in sent["hints"][0]


@pytest.mark.parametrize("text", [*ORDERS, *HIDDEN])
def test_a_text_that_gives_orders_stays_a_cell(text: str) -> None:
    """It ends no string, no row and no answer."""
    sent = judge(budget.fit(Answer(("a", text), [(text, text)] * 500, query_executed=text)), budget.DEFAULT)
    assert sent["columns"][0] == "a"
    assert {len(row) for row in sent["rows"]} == {2}


def test_ten_thousand_columns_lose_those_at_the_end() -> None:
    """With a row at least, and the hint to name some."""
    answer = Answer(tuple(f"column {number}" for number in range(10_000)), [list(range(10_000))] * 3)
    sent = judge(budget.fit(answer), budget.DEFAULT)
    assert len(sent["rows"]) == 3
    assert sent["columns"][:2] == ["column 0", "column 1"]
    assert "Columns at the end have no room: name the ones that you need." in sent["hints"]


def test_tables_share_the_room() -> None:
    """A short one is whole beside a long one."""
    answer = Answer(
        ("a",), [(number,) for number in range(50_000)],
        tables={"short": Table(("b",), [(1,), (2,)]), "long": Table(("c",), [("x" * 50,)] * 5_000)},
    )  # fmt: skip
    sent = judge(budget.fit(answer), budget.DEFAULT)
    assert sent["tables"]["short"]["rows"] == [[1], [2]]
    assert len(sent["rows"]) > 500
    assert len(sent["tables"]["long"]["rows"]) > 100
    assert "Of long only the first rows have room." in sent["hints"]


def test_a_small_answer_is_left_alone() -> None:
    """Nothing is said to be missing."""
    answer = Answer(("a",), [(1,), ("x",)], hints=("Next.",))
    assert budget.fit(answer).as_dict() == answer.as_dict()


def test_a_budget_has_bounds() -> None:
    """What is asked for beyond them is refused."""
    assert [budget.size(None), budget.size(4_000), budget.size(45_000)] == [20_000, 4_000, 45_000]
    for wrong in (0, 3_999, 45_001, -1):
        with pytest.raises(Refusal, match=r"4,000 to 45,000"):
            budget.size(wrong)


values = st.one_of(st.floats(), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1e308, -1e308]))


@given(st.lists(values, max_size=400), st.integers(2, 80))
def test_a_thinned_series_keeps_its_ends_and_extremes(numbers: list[float], at_most: int) -> None:
    """And has no more points than allowed, all of them its own, in order."""
    points = [(START + timedelta(minutes=place), value) for place, value in enumerate(numbers)]
    thinned = thin(points, at_most)
    finite = [point for point in points if math.isfinite(point[1])]
    assert len(thinned) <= at_most
    assert [point for point in finite if point in set(thinned)] == thinned
    if finite:
        assert (thinned[0], thinned[-1]) == (finite[0], finite[-1])
        if at_most >= 4:
            assert min(value for _, value in thinned) == min(value for _, value in finite)
            assert max(value for _, value in thinned) == max(value for _, value in finite)


def test_a_series_is_described_over_all_its_points() -> None:
    """First, last, least, most, mean, 95th percentile, slope, and when it was highest."""
    points = [
        (START + timedelta(minutes=30 * place), float(value))
        for place, value in enumerate([1, 3, 5, 7, 9, 11])
    ]
    assert describe(points).row() == (6, 1, 11, 1, 11, 6, 11, 4, START + timedelta(minutes=150))  # type: ignore[union-attr]
    assert describe([]) is None
    assert describe([(START, 2.0)]).slope_per_hour is None  # type: ignore[union-attr]


def test_many_long_series_have_room() -> None:
    """Sixty points of each, and a description."""
    points: dict[str, Any] = {
        name: [(START + timedelta(seconds=place), math.sin(place / 50)) for place in range(5_000)]
        for name in "abc"
    }
    thinned, described = budget.series(points)
    assert len(thinned.rows) <= 180
    assert [row[:2] for row in described.rows] == [("a", 5_000), ("b", 5_000), ("c", 5_000)]
    judge(budget.fit(Answer(thinned.columns, thinned.rows, tables={"series": described})), budget.DEFAULT)
