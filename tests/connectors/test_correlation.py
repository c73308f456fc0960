"""Correlations and comparisons of windows: what is planted is found, and chance is not taken for a finding."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.refusal import Refusal
from connectors.analysis.aligned import buckets
from connectors.analysis.correlation import correlate, effective
from connectors.analysis.windows import Found, compare
from connectors.contract import Point, Series

START = 1_790_000_000.0
Values = list[float]


def points(values: Values, step: float = 60, start: float = START) -> list[Point]:
    return [(start + place * step, value) for place, value in enumerate(values)]


def dependent(n: int, seed: int, rho: float = 0.0) -> Values:
    chance = random.Random(seed)  # noqa: S311
    values = [0.0]
    for _ in range(n - 1):
        values.append(rho * values[-1] + chance.gauss(0, 1))
    return values


def test_the_series_that_moves_first_is_found() -> None:
    """The lag is that by which the second follows the first, in seconds; the correlation without it is told too."""
    first = dependent(300, 1, 0.5)
    second = [0.0] * 5 + [2 * value for value in first[:-5]]
    (pair,) = correlate([("cpu", points(first)), ("latency", points(second))], max_lag_seconds=600).pairs
    assert (pair.first, pair.second, pair.lag_seconds, pair.significant) == ("cpu", "latency", 300, True)
    assert pair.correlation == pytest.approx(1, abs=0.02)
    assert pair.at_no_lag is not None
    assert abs(pair.at_no_lag) < 0.3
    (turned,) = correlate([("latency", points(second)), ("cpu", points(first))], max_lag_seconds=600).pairs
    assert turned.lag_seconds == -300


def test_slow_series_that_know_nothing_of_one_another_are_not_significant() -> None:
    """Values that depend on those before are worth few: of 40 pairs of slow noise, hardly one is called significant."""
    wrong, naive = 0, 0
    for seed in range(40):
        x, y = dependent(400, seed, 0.97), dependent(400, 1_000 + seed, 0.97)
        (pair,) = correlate([("x", points(x)), ("y", points(y))], max_lag_seconds=600).pairs
        assert pair.effective_n < 150
        wrong += pair.significant
        naive += abs(pair.correlation or 0) > 0.1
    assert naive > 25
    assert wrong <= 4


def test_many_pairs_are_corrected() -> None:
    """Of 190 pairs of noise, at most a few are significant."""
    made = [(f"s{seed}", points(dependent(100, seed))) for seed in range(20)]
    found = correlate(made)
    assert len(found.pairs) == 190
    assert sum((pair.p_value or 1) < 0.05 for pair in found.pairs) >= 4
    assert sum(pair.significant for pair in found.pairs) <= 1


def test_what_cannot_be_compared_says_why() -> None:
    """Constants and too few common points have no correlation, and a note."""
    made = [("a", points([1.0] * 50)), ("b", points(dependent(50, 1))), ("c", points([1.0, 2.0, 3.0]))]
    notes = {(pair.first, pair.second): pair.note for pair in correlate(made).pairs}
    assert notes == {
        ("a", "b"): "one of the two is constant",
        ("a", "c"): "fewer than 10 common points",
        ("b", "c"): "fewer than 10 common points",
    }


@pytest.mark.parametrize(
    ("count", "lag", "bucket", "field"),
    [(1, 0, None, "series"), (21, 0, None, "series"), (2, -1, None, "max_lag"), (2, 0, 0, "bucket")],
)
def test_bad_arguments_are_refused(count: int, lag: float, bucket: float | None, field: str) -> None:
    """The argument at fault is named."""
    with pytest.raises(Refusal) as refused:
        correlate([(str(n), points([1.0, 2.0])) for n in range(count)], lag, bucket)
    assert refused.value.field == field


def test_series_of_different_steps_share_buckets() -> None:
    """Each bucket has the mean of its points, and None where there are none."""
    start, length, (fine, coarse) = buckets(
        [points([1.0, 3.0, 5.0, 7.0], 30, 1_200), [(1_320.0, 9.0)]], 60, 1_000
    )
    assert (start, length, fine, coarse) == (1_200, 60, [2, 6, None], [None, None, 9])


@given(st.lists(st.floats(-1e3, 1e3), min_size=10, max_size=60))
def test_no_more_is_known_than_there_are_points(values: Values) -> None:
    """The effective number is between 2 and the number of points."""
    assert 2 <= effective(values, values[::-1]) <= len(values)


maybe = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(st.floats(0, 1e9), maybe), max_size=30), min_size=2, max_size=4))
def test_anything_can_be_correlated(made: list[list[Point]]) -> None:
    """Whatever the points, there is a row a pair, with figures in their bounds."""
    found = correlate([(str(place), one) for place, one in enumerate(made)], 1e6)
    assert len(found.pairs) == len(made) * (len(made) - 1) // 2
    for pair in found.pairs:
        assert pair.correlation is None or -1 <= pair.correlation <= 1
        assert pair.p_value is None or 0 <= pair.p_value <= 1
        assert abs(pair.lag_seconds) <= 1e6


def series(pod: str, values: Values) -> Series:
    return Series({"pod": pod}, points(values))


def test_windows_say_what_changed_appeared_and_vanished() -> None:
    """A changed mean is significant, the same noise is not, and a series of one window alone is named."""
    before = [series("a", dependent(60, 1)), series("b", dependent(60, 2)), series("old", [1.0] * 60)]
    now = [
        series("a", [value + 10 for value in dependent(60, 3)]),
        series("b", dependent(60, 4)),
        series("new", [2.0] * 60),
    ]
    found = compare(before, now)
    assert [(one.labels["pod"], one.found, one.significant) for one in found] == [
        ("a", Found.BOTH, True),
        ("new", Found.APPEARED, False),
        ("old", Found.VANISHED, False),
        ("b", Found.BOTH, False),
    ]
    first = found[0]
    assert first.before is not None
    assert first.now is not None
    assert first.change == pytest.approx(first.now.mean - first.before.mean)
    assert first.now.min <= first.now.mean <= first.now.p95 <= first.now.max
    assert first.test == "mann_whitney"


def test_slow_series_are_compared_by_blocks() -> None:
    """Points that depend on those before are no independent evidence: 40 pairs of windows, few findings."""
    wrong = 0
    for seed in range(40):
        before, now = dependent(400, seed, 0.9), dependent(400, 500 + seed, 0.9)
        (one,) = compare([series("a", before)], [series("a", now)])
        assert one.test in {"welch_of_blocks", ""}
        wrong += one.significant
    assert wrong <= 5


def test_windows_of_constants_and_of_nothing_have_no_test() -> None:
    """Equal constants have no p-value, and a mean of 0 no percentage; values that are not finite are none."""
    (one,) = compare([series("a", [0.0] * 9)], [series("a", [0.0] * 9)])
    assert (one.change, one.change_percent, one.p_value) == (0, None, None)
    assert compare([series("a", [math.nan])], [Series({"pod": "a"}, [(1.0, None)])]) == []
