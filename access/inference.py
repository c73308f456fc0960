"""The tests of significance that answers state, in plain Python. docs/statistics.md says what each assumes.

All p-values are two-sided. A test that its data do not allow, such as one of constants, has none: it returns None.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

SIGNIFICANT: Final = 0.05
"""The share of false discoveries that is accepted among those that are called significant."""
_STEPS: Final = 500
_TINY: Final = 1e-300
_EXACT: Final = 1e-15
_FEW: Final = 2


@dataclass(frozen=True, slots=True)
class Moments:
    """The number of values, their mean, and their sample variance."""

    n: int
    mean: float
    variance: float


@dataclass(frozen=True, slots=True)
class Share:
    """A share counted in clusters: `failed` of `tried`, with the sums over clusters that its variance needs."""

    clusters: int
    failed: float
    tried: float
    failed_squared: float
    failed_tried: float
    tried_squared: float

    @property
    def share(self) -> float:
        """`failed` of `tried`, 0 without any."""
        return self.failed / self.tried if self.tried else 0.0

    def variance(self) -> float:
        """Return the variance of the share, as a ratio of sums over clusters."""
        if self.clusters < _FEW or not self.tried:
            return 0.0
        share = self.share
        squares = self.failed_squared - 2 * share * self.failed_tried + share**2 * self.tried_squared
        return max(0.0, squares) * self.clusters / (self.clusters - 1) / self.tried**2


def beta_share(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22)."""
    if not 0 < x < 1:
        return 0.0 if x <= 0 else 1.0
    # The fraction converges fast below the mean alone.
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # Lentz's method.
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _STEPS):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _apart(1 + factor * d)
            c = _apart(1 + factor / c)
            fraction *= c * d
        if abs(c * d - 1) < _EXACT:
            break
    return min(1.0, front * fraction / a)


def t_p_value(t: float, degrees: float) -> float:
    """Return how often Student's t is at least so far from 0."""
    return beta_share(degrees / 2, 0.5, degrees / (degrees + t * t)) if math.isfinite(t) else 0.0


def z_p_value(z: float) -> float:
    """Return how often a standard normal value is at least so far from 0."""
    return math.erfc(abs(z) / math.sqrt(2))


def welch(now: Moments, before: Moments) -> float | None:
    """Return the p-value of Welch's t-test for equal means."""
    if min(now.n, before.n) < _FEW:
        return None
    first, second = now.variance / now.n, before.variance / before.n
    if first + second <= 0:
        return None
    t = (now.mean - before.mean) / math.sqrt(first + second)
    degrees = (first + second) ** 2 / (first**2 / (now.n - 1) + second**2 / (before.n - 1))
    return t_p_value(t, degrees)


def two_shares(now: Share, before: Share) -> float | None:
    """Return the p-value of the two-proportion z-test, with the larger of the binomial and the clusters' variance."""
    tried = now.tried + before.tried
    if not now.tried or not before.tried:
        return None
    pooled = (now.failed + before.failed) / tried
    binomial = pooled * (1 - pooled) * (1 / now.tried + 1 / before.tried)
    variance = max(binomial, now.variance() + before.variance())
    return z_p_value((now.share - before.share) / math.sqrt(variance)) if variance > 0 else None


def mann_whitney(now: Sequence[float], before: Sequence[float]) -> float | None:
    """Return the p-value of the Mann-Whitney U test, by the normal approximation, corrected for ties."""
    first, second = len(now), len(before)
    total = first + second
    if not first or not second:
        return None
    values = [*now, *before]
    ranked = ranks(values)
    u = math.fsum(ranked[:first]) - first * (first + 1) / 2
    tied = math.fsum(count**3 - count for count in _counts(values))
    variance = first * second / 12 * (total + 1 - tied / (total * (total - 1)))
    if variance <= 0:
        return None
    distance = max(0.0, abs(u - first * second / 2) - 0.5)
    return z_p_value(distance / math.sqrt(variance))


def ranks(values: Sequence[float]) -> list[float]:
    """Return each value's rank, from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end + 1 < len(order) and values[order[end + 1]] == values[order[begin]]:
            end += 1
        for place in order[begin : end + 1]:
            found[place] = (begin + end) / 2 + 1
        begin = end + 1
    return found


def pearson(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the correlation of pairs, None where one of the two is constant."""
    return pearson_of_units(unit(first), unit(second))


def pearson_of_units(first: Sequence[float] | None, second: Sequence[float] | None) -> float | None:
    """Return the correlation of pairs of which each side is a `unit`, None where one of the two has none."""
    if not first or not second:
        return None
    return max(-1.0, min(1.0, math.fsum(map(_product, first, second))))


def unit(values: Sequence[float]) -> list[float] | None:
    """Return the distances from the mean, scaled to a length of 1; None of constants, or where no scale is finite."""
    if len(values) < _FEW or min(values) == max(values):
        return None
    largest = max(map(abs, values))
    scaled = [value / largest for value in values]
    mean = math.fsum(scaled) / len(scaled)
    distances = [value - mean for value in scaled]
    length = math.sqrt(math.fsum(map(_product, distances, distances)))
    return [distance / length for distance in distances] if length > 0 else None


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the correlation of the ranks of pairs, with mean ranks for ties."""
    return pearson(ranks(first), ranks(second))


def correlation_p_value(correlation: float, n: int) -> float | None:
    """Return the p-value of no correlation, by Student's t with n - 2 degrees of freedom."""
    degrees = n - 2
    if degrees < 1:
        return None
    rest = 1 - correlation * correlation
    return t_p_value(correlation * math.sqrt(degrees / rest), degrees) if rest > 0 else 0.0


def false_discovery(p_values: Sequence[float | None]) -> list[float | None]:
    """Return the q-values of Benjamini and Hochberg: the share of false discoveries when all so small are called such.

    A None is no test: it counts for nothing and stays None.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    found: list[float | None] = [None] * len(p_values)
    least = 1.0
    for rank in range(len(tested), 0, -1):
        p, place = tested[rank - 1]
        least = min(least, p * len(tested) / rank)
        found[place] = least
    return found


_product: Final[Callable[[float, float], float]] = float.__mul__


def _counts(values: Sequence[float]) -> list[int]:
    counted: dict[float, int] = {}
    for value in values:
        counted[value] = counted.get(value, 0) + 1
    return list(counted.values())


def _apart(value: float) -> float:
    """Return the value, away from 0, by which is divided."""
    return value if abs(value) > _TINY else _TINY
