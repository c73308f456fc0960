"""Anomalies: what is planted is found once, ordinary noise is not, and odd input is taken as it is."""

import math
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.refusal import Refusal
from benchmarks.anomalies import PUBLISHED, Score, gaussian, heavy, scored, series
from connectors.analysis.anomalies import Anomalies, Sort, detect, detect_many
from connectors.analysis.judging import Method
from connectors.contract import Point, Series

START = 1_790_000_000.0
METHODS = [method.value for method in Method]
WITHOUT_DAYS = [method for method in METHODS if method != "seasonal"]


def points(values: list[float], step: float = 60) -> list[Point]:
    return [(START + place * step, value) for place, value in enumerate(values)]


def noise(n: int = 400, seed: int = 1, level: float = 100, size: float = 5) -> list[float]:
    chance = random.Random(seed)  # noqa: S311
    return [level + size * chance.gauss(0, 1) for _ in range(n)]


@pytest.mark.parametrize("method", WITHOUT_DAYS)
def test_a_spike_is_found_with_what_was_expected(method: str) -> None:
    """Each method finds a spike at its time, and says the range, the score, how bad and what in words."""
    values = noise()
    values[200] = 200
    found = detect(points(values), method, name="CPU usage", unit="%")
    assert found.anomalies_detected
    worst = max(found.anomalies, key=lambda one: one.deviation_score)
    assert (worst.timestamp, worst.value, worst.kind, worst.points) == (
        datetime.fromtimestamp(START + 200 * 60, UTC),
        200,
        Sort.SPIKE,
        1,
    )
    low, high = worst.expected_range
    assert 60 < low < 100 < high < 140
    assert worst.deviation_score > 10
    assert worst.severity in {"medium", "high"}
    assert worst.description.startswith("CPU usage rose to 200 %, 2.0 times the usual ")
    assert found.baseline_stats is not None
    assert found.baseline_stats.mean == pytest.approx(100, abs=1)
    assert found.baseline_stats.std_dev == pytest.approx(5, abs=1)
    assert found.n == 400


def test_a_drop_is_found() -> None:
    """A value that is too low is a drop."""
    values = noise()
    values[50] = 30
    (one,) = detect(points(values)).anomalies
    assert (one.kind, one.value) == (Sort.DROP, 30)
    assert "fell to 30" in one.description


@pytest.mark.parametrize("method", WITHOUT_DAYS)
@pytest.mark.parametrize("seed", range(4))
def test_ordinary_noise_has_few_anomalies(method: str, seed: int) -> None:
    """Of 1,441 ordinary points, hardly any is called odd; a forest with contamination=auto calls 214 so."""
    found = detect(points(noise(1_441, seed)), method)
    assert len(found.anomalies) <= 3


@pytest.mark.parametrize("height", [-30, 30])
def test_a_shift_is_one_anomaly(height: float) -> None:
    """A new level is told once, with its beginning and its end, not 500 times."""
    values = noise(1_000)
    values[500:] = [value + height for value in values[500:]]
    (one,) = detect(points(values)).anomalies
    assert one.kind is (Sort.LEVEL_UP if height > 0 else Sort.LEVEL_DOWN)
    assert abs((one.timestamp.timestamp() - START) / 60 - 500) <= 3
    assert one.until.timestamp() == START + 999 * 60
    assert one.value == pytest.approx(100 + height, abs=2)


def test_a_shift_that_ends_is_one_anomaly() -> None:
    """A level that returns is one shift, from its beginning to its end."""
    values = noise(1_000)
    values[400:500] = [value + 30 for value in values[400:500]]
    (one,) = detect(points(values)).anomalies
    assert one.kind is Sort.LEVEL_UP
    assert abs(one.points - 100) <= 4


def test_a_trend_is_one_anomaly() -> None:
    """A slope is told once."""
    values = [value + max(0, place - 300) * 0.1 for place, value in enumerate(noise(1_000))]
    (one,) = detect(points(values)).anomalies
    assert one.kind is Sort.TREND_UP
    assert "climbed steadily" in one.description


def test_a_spike_on_a_shift_is_told_too() -> None:
    """A shift does not hide what is odd within the new level."""
    values = noise(600)
    values[300:] = [value + 40 for value in values[300:]]
    values[450] += 60
    kinds = [one.kind for one in detect(points(values)).anomalies]
    assert kinds == [Sort.LEVEL_UP, Sort.SPIKE]


def test_an_hour_that_is_not_as_on_other_days_is_found() -> None:
    """Auto takes the hour of the day for three days and more, where hours matter."""
    values = [
        100 + 40 * math.sin(2 * math.pi * place / 96) + value
        for place, value in enumerate(noise(480, level=0, size=3))
    ]
    # At the lowest hour of the third day, the value of the highest.
    values[264] = 140
    found = detect(points(values, step=900))
    assert found.method is Method.SEASONAL
    assert [(one.kind, one.value) for one in found.anomalies] == [(Sort.SPIKE, 140)]
    assert detect(points(values, step=900), "zscore").anomalies == []


def test_seasonal_refuses_less_than_three_days() -> None:
    """The refusal says what is needed and what to take instead."""
    with pytest.raises(Refusal, match="at least 3 days") as refused:
        detect(points(noise(400)), "seasonal")
    assert refused.value.field == "method"
    assert "auto" in refused.value.accepted


@pytest.mark.parametrize(
    ("field", "values"), [("method", ("best", "medium")), ("sensitivity", ("auto", "most"))]
)
def test_unknown_names_are_refused(field: str, values: tuple[str, str]) -> None:
    """The field is named."""
    with pytest.raises(Refusal) as refused:
        detect(points(noise(40)), *values)
    assert refused.value.field == field


def test_sensitivity_orders_what_is_found() -> None:
    """What low finds, high finds."""
    values = noise()
    for place, size in ((100, 22), (200, 27), (300, 60)):
        values[place] = 100 + size
    for method in WITHOUT_DAYS:
        counts = [len(detect(points(values), method, level).anomalies) for level in ("low", "medium", "high")]
        assert counts == sorted(counts)
        assert counts[-1] >= 2


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_has_no_anomaly_until_it_changes(method: str) -> None:
    """A constant is ordinary; one other value is odd, with the largest score."""
    values = [5.0] * 480
    assert detect(points(values, 900), method).anomalies == []
    values[250] = 9
    found = detect(points(values, 900), method)
    assert [(one.value, one.points) for one in found.anomalies] == [(9, 1)]


def test_a_change_of_less_than_a_hundredth_is_nothing() -> None:
    """A series that hardly moves has no anomaly, however regular it is."""
    values = [1000.0 + (place % 2) * 0.001 for place in range(200)]
    values[100] = 1000.5
    for method in WITHOUT_DAYS:
        assert detect(points(values), method).anomalies == []


@pytest.mark.parametrize("n", [0, 1, 7])
def test_few_points_are_told(n: int) -> None:
    """Too few points are not judged, and a note says so."""
    found = detect(points([1.0, 100.0, 1.0, 1.0, 1.0, 1.0, 1.0][:n]))
    assert found.anomalies == ()
    assert "at least 8" in found.notes[0]
    assert (found.baseline_stats is None) is (n == 0)


def test_gaps_and_values_that_are_none_are_counted() -> None:
    """Missing points are counted and judged as nothing."""
    made = points(noise(100))
    made[10] = (made[10][0], None)
    made[20] = (made[20][0], math.nan)
    made[30] = (made[30][0], math.inf)
    del made[50:60]
    found = detect(made)
    # Three without a value, and ten that are not there.
    assert (found.n, found.anomalies) == (87, [])
    assert found.missing == 13


def test_many_series_bound_false_discoveries() -> None:
    """What chance yields among many series is left out, and a note counts it; what is planted stays."""
    made = [Series({"pod": str(seed)}, points(noise(300, seed))) for seed in range(60)]
    odd = noise(300, 99)
    odd[100] = 190
    made.append(Series({"pod": "odd"}, points(odd)))
    found = detect_many(made, sensitivity="high")
    alone = [detect(one.points, sensitivity="high") for one in made]
    assert sum(len(one.anomalies) for one in alone) > 10
    assert [len(one.anomalies) for one in found[:-1]].count(0) >= 58
    assert [one.value for one in found[-1].anomalies] == [190]
    assert any("left out" in note for one in found for note in one.notes)


values = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(-100, 100),
    st.integers(0, 3).map(float),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 4e9), values), max_size=60), st.sampled_from(WITHOUT_DAYS))
def test_anything_is_taken(made: list[Point], method: str) -> None:
    """Whatever the points, the answer is whole: finite figures, times within the series, values of the series."""
    found: Anomalies = detect(made, method)
    assert found.n + found.missing >= len({time for time, _ in made})
    times = {datetime.fromtimestamp(time, UTC) for time, _ in made}
    for one in found.anomalies:
        assert one.timestamp in times
        assert one.until >= one.timestamp or one.points > 1
        assert all(map(math.isfinite, (one.value, one.deviation_score, *one.expected_range, one.p_value)))
        assert 0 <= one.p_value <= 1


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.01, 1000))
def test_units_do_not_matter(seed: int, scale: float) -> None:
    """The same series in another unit has the same anomalies."""
    values = noise(120, seed)
    values[60] += 80
    first = detect(points(values))
    second = detect(points([value * scale for value in values]))
    assert [(one.timestamp, one.kind, one.points) for one in first.anomalies] == [
        (one.timestamp, one.kind, one.points) for one in second.anomalies
    ]


@pytest.mark.slow
def test_auto_is_at_least_as_good_as_each_method() -> None:
    """Over planted anomalies, the F1 of auto is the highest; docs/statistics.md has the whole table."""
    totals = {method: Score() for method in WITHOUT_DAYS}
    for kind in ("spikes", "level shifts", "trends", "seasonal breaks", "nothing planted"):
        for form in (gaussian, heavy):
            for seed in range(2_000, 2_003):
                made, spans = series(kind, form, seed, PUBLISHED)
                for method, total in totals.items():
                    total.add(scored(made, spans, method, "medium"))
    best = max(totals.values(), key=lambda score: score.f1)
    assert totals["auto"] is best
    assert best.precision > 0.7
    assert best.recall > 0.7
