"""Series brought to the same times: the mean of each bucket, None where a series has no value in it."""

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from connectors.analysis.robust import median
from connectors.contract import Point

_SHORTEST: Final = 0.001


def step_of(points: Sequence[Point]) -> float:
    """Return the usual time between points in seconds, 0 for fewer than two."""
    times = sorted({time for time, _ in points})
    return median([b - a for a, b in itertools.pairwise(times)]) if len(times) > 1 else 0.0


def buckets(
    series: Sequence[Sequence[Point]], seconds: float, at_most: int
) -> tuple[float, float, list[list[float | None]]]:
    """Return the time of the first bucket, the length of each, and each series' means; all lists are as long.

    Buckets are as long as `seconds`, or longer where there were more than `at_most`, and begin at multiples of it.
    """
    times = [
        time for points in series for time, value in points if value is not None and math.isfinite(value)
    ]
    if not times or seconds <= 0:
        return 0.0, seconds, [[] for _ in series]
    seconds = max(seconds, _SHORTEST)
    length = seconds * max(1, math.ceil((max(times) - min(times)) / seconds / at_most))
    first = math.floor(min(times) / length)
    count = math.floor(max(times) / length) - first + 1
    found: list[list[float | None]] = []
    for points in series:
        sums: dict[int, list[float]] = defaultdict(list)
        for time, value in points:
            if value is not None and math.isfinite(value):
                sums[math.floor(time / length) - first].append(value)
        found.append(
            [
                math.fsum(value / len(sums[place]) for value in sums[place]) if place in sums else None
                for place in range(count)
            ]
        )
    return first * length, length, found
