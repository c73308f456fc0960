"""Where a series changes its level or begins to climb: found once each, and taken away, so that the rest can be judged.

Three shapes are tried: a step that stays, a step that ends, and a slope from some point on. The one that leaves least
is taken when it is large beside the noise and when chance, with the noise's own dependence from value to value, does
not explain it; then the remainder is searched again. Single values far out are clipped before, for they are no level.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Final

from connectors.analysis.robust import dependence, median, noise, spread

AT_MOST: Final = 4
LEAST_POINTS: Final = 24
_SHORTEST: Final = 6
_PLACES: Final = 64
"""Where a bounded step or a slope may begin: so many places, and after that those near the best."""
_LONGEST: Final = 2_000


class Shape(StrEnum):
    """How a level changes."""

    STEP = "step"
    TREND = "trend"


@dataclass(frozen=True, slots=True)
class Change:
    """A change over the values from `begin` up to but without `end`, by `height` (of a trend: at its end)."""

    shape: Shape
    begin: int
    end: int
    height: float
    score: float
    """The height in units of the noise."""
    certainty: float
    """The height in units of its standard error."""

    def at(self, place: int) -> float:
        """Return what the change adds to a value."""
        if not self.begin <= place < self.end:
            return 0.0
        if self.shape is Shape.STEP:
            return self.height
        return self.height * (place - self.begin) / max(1, self.end - 1 - self.begin)


def changes(values: Sequence[float], certain: float, least: float) -> list[Change]:
    """Return the changes whose height is at least `certain` standard errors and `least` times the noise, largest first.

    Series of more than 2,000 values are searched by the medians of blocks; places are those of the values.
    """
    block = math.ceil(len(values) / _LONGEST)
    if block > 1:
        blocks = [median(values[at : at + block]) for at in range(0, len(values), block)]
        return [
            Change(
                one.shape,
                one.begin * block,
                min(len(values), one.end * block),
                one.height,
                one.score,
                one.certainty,
            )
            for one in changes(blocks, certain, least)
        ]
    rest = list(values)
    found: list[Change] = []
    while len(values) >= LEAST_POINTS and len(found) < AT_MOST:
        change = _largest(_clipped(rest), rest)
        if change is None or change.certainty < certain or change.score < least:
            break
        found.append(change)
        rest = [value - change.at(place) for place, value in enumerate(rest)]
    return found


def _clipped(values: Sequence[float]) -> list[float]:
    """Return the values, none further from the median of its neighbours than three times the noise."""
    far = 3 * noise(values)
    clipped = []
    for place, value in enumerate(values):
        near = median(values[max(0, place - 2) : place + 3])
        clipped.append(min(max(value, near - far), near + far))
    return clipped


def _largest(values: Sequence[float], whole: Sequence[float]) -> Change | None:
    """Return the change that leaves least of the clipped values, judged by what it leaves."""
    n = len(values)
    mean = math.fsum(values) / n
    sums = list(accumulate((value - mean for value in values), initial=0.0))
    weighted = list(accumulate((place * (value - mean) for place, value in enumerate(values)), initial=0.0))
    candidates = [_step(sums, n), _bounded_step(sums, n), _trend(sums, weighted, n)]
    gain, shape, begin, end, height = max(candidates)
    if gain <= 0:
        return None
    rest = Change(shape, begin, end, height, 0, 0)
    left = [value - rest.at(place) for place, value in enumerate(values)]
    deviation = spread(left, median(left))
    # Equal values but for the change: what is left is rounding.
    deviation = max(deviation, 1e-9 * (max(map(abs, whole)) + abs(height)))
    if deviation <= 0:
        return None
    rho = dependence(left)
    longer = math.sqrt((1 + rho) / (1 - rho))
    return Change(shape, begin, end, height, abs(height) / deviation, math.sqrt(gain) / (deviation * longer))


_Candidate = tuple[float, Shape, int, int, float]


def _step(sums: Sequence[float], n: int) -> _Candidate:
    """Return the best step that stays: how much of the sum of squares it explains, and where it is."""
    best: _Candidate = (0.0, Shape.STEP, 0, n, 0.0)
    for place in range(_SHORTEST, n - _SHORTEST + 1):
        # The mean of all is 0, so the sum of one side is that of the other with the sign changed.
        gain = sums[place] ** 2 * (1 / place + 1 / (n - place))
        if gain > best[0]:
            height = -sums[place] / (n - place) - sums[place] / place
            best = (gain, Shape.STEP, place, n, height)
    return best


def _bounded_step(sums: Sequence[float], n: int) -> _Candidate:
    """Return the best step that ends. It is longer than a spike, and shorter than half of the series."""
    best: _Candidate = (0.0, Shape.STEP, 0, n, 0.0)
    grid = max(1, n // _PLACES)
    begins, ends = range(0, n, grid), range(grid, n + 1, grid)
    for width in (1, 0):
        for begin in begins:
            for end in ends:
                length = end - begin
                if length < _SHORTEST or length > n // 2 or begin == 0 or end == n:
                    continue
                inside = sums[end] - sums[begin]
                # Four parameters where the step that stays has two: it must explain a little more.
                gain = 0.97 * inside**2 * (1 / length + 1 / (n - length))
                if gain > best[0]:
                    best = (gain, Shape.STEP, begin, end, inside / length + inside / (n - length))
        if width:
            begins = range(max(0, best[2] - grid), min(n, best[2] + grid))
            ends = range(max(0, best[3] - grid), min(n, best[3] + grid) + 1)
    return best


def _trend(sums: Sequence[float], weighted: Sequence[float], n: int) -> _Candidate:
    """Return the best slope that begins somewhere and goes on to the end."""
    best: _Candidate = (0.0, Shape.TREND, 0, n, 0.0)
    grid = max(1, n // _PLACES)
    for begin in range(0, n - 2 * _SHORTEST, grid):
        length = n - begin
        # The hinge max(0, place - begin), and its distance from its own mean.
        total = length * (length - 1) / 2
        square = (length - 1) * length * (2 * length - 1) / 6 - total**2 / n
        product = (weighted[n] - weighted[begin]) - begin * (sums[n] - sums[begin])
        gain = product**2 / square
        if gain > best[0]:
            best = (gain, Shape.TREND, begin, n, product / square * (length - 1))
    return best
