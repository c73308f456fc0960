"""Where values lie and how far apart they are, in ways that a few odd ones among them do not change.

`LeftOut` describes, for each value, the others: a value must not be part of what it is compared with. `Tail` says how
often a value lies so far out, by a Student's t whose degrees of freedom fit the values: noise with heavy tails has
many values far out that are ordinary.
"""

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median as _median
from typing import Final

from access.inference import t_p_value, z_p_value

NORMAL: Final = 1.4826
"""The standard deviation of normal values, in units of their median absolute deviation."""
_MEAN_NORMAL: Final = 1.2533
"""The same, in units of their mean absolute deviation."""

# Of the absolute value of Student's t: the degrees of freedom, how far q95 lies beyond the median in units of that
# of q80, and the median. tests/connectors/test_robust.py computes them again.
_TAILS: Final = (
    (2.0, 3.2608, 0.8165),
    (3.0, 2.7697, 0.7649),
    (4.0, 2.5687, 0.7407),
    (5.0, 2.4612, 0.7267),
    (7.0, 2.3494, 0.7111),
    (10.0, 2.2730, 0.6998),
    (20.0, 2.1915, 0.6870),
    (math.inf, 2.1175, 0.6745),
)
_SHRINK: Final = 150
"""So many values that look normal are added, since few values do not show the shape of their tails."""


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of values in order, interpolated between neighbours."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return float(_median(values))


def spread(values: Sequence[float], center: float) -> float:
    """Return a robust standard deviation: from the median distance, or the mean one where half of them are equal."""
    distances = [abs(value - center) for value in values]
    found = NORMAL * median(distances)
    return found if found > 0 else _MEAN_NORMAL * math.fsum(distances) / len(distances)


def noise(values: Sequence[float]) -> float:
    """Return the standard deviation of what changes from one value to the next: levels and slow changes do not count.

    Ordinary noise that hangs together from value to value is larger than this says.
    """
    changes = [after - before for before, after in itertools.pairwise(values)]
    return spread(changes, 0.0) / math.sqrt(2) if changes else 0.0


def dependence(values: Sequence[float]) -> float:
    """Return the correlation of each value with the next, of their signs, from 0 to 0.98: the odd ones do not count."""
    if len(values) < 3:  # noqa: PLR2004  two pairs
        return 0.0
    center = median(values)
    signs = [(value > center) - (value < center) for value in values]
    product = math.fsum(a * b for a, b in itertools.pairwise(signs)) / (len(signs) - 1)
    # The correlation of normal values from that of their signs (the arcsine law).
    return min(0.98, max(0.0, math.sin(math.pi / 2 * product)))


class LeftOut:
    """The median and the spread of all values but one, for each, in O(log n)."""

    def __init__(self, values: Sequence[float]) -> None:
        self._ordered = sorted(values)
        self._distances: dict[float, tuple[list[float], float]] = {}

    def center(self, value: float) -> float:
        """Return the median of the values without this one."""
        n = len(self._ordered) - 1
        gone = bisect_left(self._ordered, value)
        return (self._without(gone, (n - 1) // 2) + self._without(gone, n // 2)) / 2

    def scale(self, value: float) -> float:
        """Return the spread of the values without this one, around their median."""
        center = self.center(value)
        if center not in self._distances:
            # All values but one have one of three medians, so these are kept.
            distances = sorted(abs(one - center) for one in self._ordered)
            self._distances[center] = (distances, math.fsum(distances))
        distances, total = self._distances[center]
        n = len(distances) - 1
        gone = bisect_left(distances, abs(value - center))
        low, high = (n - 1) // 2, n // 2
        found = NORMAL * (distances[low + (low >= gone)] + distances[high + (high >= gone)]) / 2
        return found if found > 0 else _MEAN_NORMAL * max(0.0, total - abs(value - center)) / n

    def _without(self, gone: int, place: int) -> float:
        return self._ordered[place + (place >= gone)]


@dataclass(frozen=True)
class Tail:
    """How far out values lie, as distances from their center."""

    distances: Sequence[float]

    @cached_property
    def _fit(self) -> tuple[float, float]:
        """The degrees of freedom, and the median distance of a t with these."""
        ordered = sorted(self.distances)
        middle, near, far = (quantile(ordered, share) for share in (0.5, 0.8, 0.95))
        normal = _TAILS[-1][1]
        ratio = (far - middle) / (near - middle) if near > middle else normal
        n = len(ordered)
        ratio = (n * ratio + _SHRINK * normal) / (n + _SHRINK)
        degrees, _, median_of_t = min(_TAILS, key=lambda row: abs(row[1] - ratio))
        return degrees, median_of_t

    @property
    def degrees(self) -> float:
        """The degrees of freedom: infinite for normal tails."""
        return self._fit[0]

    @cached_property
    def scale(self) -> float:
        """The scale of the t."""
        middle = median(self.distances)
        if middle > 0:
            return middle / self._fit[1]
        return _MEAN_NORMAL * math.fsum(self.distances) / len(self.distances)

    def p_value(self, distance: float) -> float:
        """Return how often a value lies at least so far out. 0 where no value of the baseline differs."""
        if self.scale <= 0:
            return 1.0 if distance <= 0 else 0.0
        score = distance / self.scale
        return z_p_value(score) if math.isinf(self.degrees) else t_p_value(score, self.degrees)
