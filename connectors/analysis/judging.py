"""How each method judges points: what it expects of each, and which it calls odd.

| method | expects | odd is |
|---|---|---|
| zscore | the median of the other points | further off than 3.5 robust standard deviations (5 low, 2.5 high) |
| iqr | what lies between the quartiles | 2.2 interquartile ranges beyond (3 low, 1.5 high), and 5 % of the median |
| isolation_forest | what the forest cannot separate | a score far above the baseline's 95th percentile |
| seasonal | the median of the same hour on other days | so far off that chance yields 0.05 such points a series |
| auto | seasonal where hours matter, else the median; level shifts and trends are found before | as seasonal |

The last two know the noise's tails (`robust.Tail`); low means 0.005 such points a series, high 0.5.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from connectors.analysis import isolation, seasons, shifts
from connectors.analysis.robust import LeftOut, Tail, median, quantile, spread


class Method(StrEnum):
    """How points are judged."""

    AUTO = "auto"
    ZSCORE = "zscore"
    IQR = "iqr"
    ISOLATION_FOREST = "isolation_forest"
    SEASONAL = "seasonal"


class Sensitivity(StrEnum):
    """How little it takes to be called odd."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


_Levels = dict[Sensitivity, float]
_LOW, _MEDIUM, _HIGH = Sensitivity
_Z: Final[_Levels] = {_LOW: 5.0, _MEDIUM: 3.5, _HIGH: 2.5}
_FENCES: Final[_Levels] = {_LOW: 3.0, _MEDIUM: 2.2, _HIGH: 1.5}
_ISOLATED: Final[_Levels] = {_LOW: 2.6, _MEDIUM: 2.1, _HIGH: 1.6}
_FALSE: Final[_Levels] = {_LOW: 0.005, _MEDIUM: 0.05, _HIGH: 0.5}
_CERTAIN: Final[_Levels] = {_LOW: 9.0, _MEDIUM: 7.0, _HIGH: 5.5}
_NOISES: Final[_Levels] = {_LOW: 2.5, _MEDIUM: 1.5, _HIGH: 1.0}
_FLOOR: Final = 0.01
"""A change of less than 1 % of what is usual is never odd."""
_IQR_FLOOR: Final = 0.05
_SEASON: Final = 0.8
"""Hours matter when what they leave is at most so much of what a level leaves."""


@dataclass(frozen=True)
class Judged:
    """What a method expects of each point, and which it calls odd. All sequences are as long as the points."""

    method: Method
    values: Sequence[float]
    centers: Sequence[float]
    """What is expected, without the changes of level."""
    limits: Sequence[tuple[float, float]]
    """How far below and above may be."""
    odd: Sequence[bool]
    changes: Sequence[shifts.Change] = ()
    expected: Sequence[float] = field(default_factory=list)
    """What is expected, with the changes of level. Empty: the centers."""

    def center(self, place: int) -> float:
        """Return what was expected of a point."""
        return (self.expected or self.centers)[place]

    def distance(self, place: int) -> float:
        """Return how far a point is from what was expected, with its sign."""
        return self.values[place] - self.center(place)

    @cached_property
    def tail(self) -> Tail:
        """How far off points are."""
        return Tail([abs(self.distance(place)) for place in range(len(self.values))])


def judge(
    times: Sequence[float], values: Sequence[float], method: Method, sensitivity: Sensitivity
) -> Judged:
    """Return a method's judgement of finite values at ascending times, of which there are enough for it."""
    match method:
        case Method.ZSCORE:
            return _zscore(values, sensitivity)
        case Method.IQR:
            return _iqr(values, sensitivity)
        case Method.ISOLATION_FOREST:
            return _isolated(values, sensitivity)
        case Method.SEASONAL:
            return _by_tail(Method.SEASONAL, values, seasons.usual(times, values), (), sensitivity)
        case Method.AUTO:
            return _auto(times, values, sensitivity)


def _zscore(values: Sequence[float], sensitivity: Sensitivity) -> Judged:
    others = LeftOut(values)
    centers = [others.center(value) for value in values]
    limits = [
        max(_Z[sensitivity] * others.scale(value), _FLOOR * abs(center))
        for value, center in zip(values, centers, strict=True)
    ]
    return Judged(
        Method.ZSCORE,
        values,
        centers,
        [(limit, limit) for limit in limits],
        [abs(v - c) > limit for v, c, limit in zip(values, centers, limits, strict=True)],
    )


def _iqr(values: Sequence[float], sensitivity: Sensitivity) -> Judged:
    ordered = sorted(values)
    low, center, high = (quantile(ordered, share) for share in (0.25, 0.5, 0.75))
    reach = _FENCES[sensitivity] * (high - low)
    floor = _IQR_FLOOR * abs(center)
    below, above = max(center - low + reach, floor), max(high + reach - center, floor)
    return Judged(
        Method.IQR,
        values,
        [center] * len(values),
        [(below, above)] * len(values),
        [not center - below <= value <= center + above for value in values],
    )


def _isolated(values: Sequence[float], sensitivity: Sensitivity) -> Judged:
    """Judge by the forest's score of the value and of its distance from both neighbours.

    The bound is a quantile of the scores, widened by how far it is from their median: the share that is odd is not
    assumed, as scikit-learn's contamination is.
    """
    near = [median(values[max(0, place - 1) : place + 2]) for place in range(len(values))]
    scores = isolation.scores([(value, value - around) for value, around in zip(values, near, strict=True)])
    ordered = sorted(scores)
    middle, upper = quantile(ordered, 0.5), quantile(ordered, 0.95)
    bound = middle + _ISOLATED[sensitivity] * (upper - middle)
    center = median(values)
    floor = _FLOOR * abs(center)
    odd = [score > bound and abs(value - center) > floor for score, value in zip(scores, values, strict=True)]
    usual = [value for value, is_odd in zip(values, odd, strict=True) if not is_odd]
    limits = (center - min(usual), max(usual) - center)
    # A value within what is usual is odd for its jump alone, which is another question.
    outside = [
        is_odd and not center - limits[0] <= value <= center + limits[1]
        for value, is_odd in zip(values, odd, strict=True)
    ]
    return Judged(Method.ISOLATION_FOREST, values, [center] * len(values), [limits] * len(values), outside)


def _auto(times: Sequence[float], values: Sequence[float], sensitivity: Sensitivity) -> Judged:
    level = [median(values)] * len(values)
    found = _structured(Method.ZSCORE, values, level, sensitivity)
    step = median([after - before for before, after in itertools.pairwise(times)])
    if not seasons.enough(times, step):
        return found
    seasonal = _structured(Method.SEASONAL, values, seasons.usual(times, values), sensitivity)
    return seasonal if _left(seasonal) <= _SEASON * _left(found) else found


def _left(judged: Judged) -> float:
    return spread([judged.distance(place) for place in range(len(judged.values))], 0.0)


def _structured(
    method: Method, values: Sequence[float], centers: Sequence[float], sensitivity: Sensitivity
) -> Judged:
    rest = [value - center for value, center in zip(values, centers, strict=True)]
    found = [
        change
        for change in shifts.changes(rest, _CERTAIN[sensitivity], _NOISES[sensitivity])
        if abs(change.height) > _FLOOR * abs(median(centers))
    ]
    return _by_tail(method, values, centers, found, sensitivity)


def _by_tail(
    method: Method,
    values: Sequence[float],
    centers: Sequence[float],
    changes: Sequence[shifts.Change],
    sensitivity: Sensitivity,
) -> Judged:
    """Judge by how often the noise, whose tails the points themselves show, lies so far off."""
    rest = [
        value - center - sum(change.at(place) for change in changes)
        for place, (value, center) in enumerate(zip(values, centers, strict=True))
    ]
    # Changes move the median of what they leave.
    offset = median(rest)
    distances = [abs(one - offset) for one in rest]
    limit = _limit(Tail(distances), _FALSE[sensitivity] / len(values))
    limits = [max(limit, _FLOOR * abs(center)) for center in centers]
    return Judged(
        method,
        values,
        [center + offset for center in centers],
        [(limit, limit) for limit in limits],
        [distance > limit for distance, limit in zip(distances, limits, strict=True)],
        changes,
        [value - one + offset for value, one in zip(values, rest, strict=True)],
    )


def _limit(tail: Tail, p_value: float) -> float:
    """Return the distance that is reached so often."""
    if tail.scale <= 0:
        return 0.0
    low, high = 0.0, tail.scale
    while tail.p_value(high) > p_value:
        low, high = high, high * 2
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if tail.p_value(middle) > p_value else (low, middle)
    return high
