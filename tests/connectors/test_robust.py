"""Robust measures: equal to their plain definitions, and not moved by a few odd values."""

import math
import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.inference import t_p_value, z_p_value
from connectors.analysis import robust
from connectors.analysis.robust import LeftOut, Tail, dependence, noise, spread


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40))
def test_left_out_is_what_the_others_are(values: list[float]) -> None:
    """The quick way equals the median and the spread of the other values, worked out one by one."""
    quick = LeftOut(values)
    for place, value in enumerate(values):
        others = values[:place] + values[place + 1 :]
        center = median(others)
        assert quick.center(value) == pytest.approx(center)
        assert quick.scale(value) == pytest.approx(spread(others, center), rel=1e-6, abs=1e-6)


def test_the_table_of_tails_is_that_of_the_distribution() -> None:
    """The constants are those of Student's t."""

    def quantile(degrees: float, share: float) -> float:
        low, high = 0.0, 100.0
        for _ in range(80):
            middle = (low + high) / 2
            p = z_p_value(middle) if math.isinf(degrees) else t_p_value(middle, degrees)
            low, high = (middle, high) if p > 1 - share else (low, middle)
        return low

    for degrees, ratio, center in robust._TAILS:
        half, near, far = (quantile(degrees, share) for share in (0.5, 0.8, 0.95))
        assert (far - half) / (near - half) == pytest.approx(ratio, abs=1e-3)
        assert half == pytest.approx(center, abs=1e-3)


def test_tails_are_told_apart() -> None:
    """Normal values have thin tails and those of a t with three degrees of freedom heavy ones."""
    chance = random.Random(3)  # noqa: S311
    normal = [abs(chance.gauss(0, 2)) for _ in range(3_000)]
    heavy = [
        abs(chance.gauss(0, 1)) / math.sqrt(sum(chance.gauss(0, 1) ** 2 for _ in range(3)) / 3)
        for _ in range(3_000)
    ]
    assert Tail(normal).degrees >= 10
    assert Tail(heavy).degrees <= 4
    assert Tail(normal).p_value(2 * 1.96) == pytest.approx(0.05, abs=0.01)


def test_dependence_and_noise() -> None:
    """Each is near the one that the values were made with; a level shift does not count as noise."""
    chance = random.Random(4)  # noqa: S311
    values = [0.0]
    for _ in range(4_000):
        values.append(0.8 * values[-1] + chance.gauss(0, 1))
    assert dependence(values) == pytest.approx(0.8, abs=0.06)
    steps = [chance.gauss(0, 3) + (100 if place > 500 else 0) for place in range(1_000)]
    assert noise(steps) == pytest.approx(3, abs=0.4)
    assert dependence([1.0]) == 0
