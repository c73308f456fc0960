"""A long series of points as a short one: its extremes bucket by bucket, and what describes it as a whole.

`thin` keeps the lowest and the highest point of each bucket, so that no peak is lost; `describe` says over all points
what the thinned ones no longer can. Points are in the order of time; values that are not finite are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

POINTS: Final = 60
_HOUR: Final = 3600.0

Point = tuple[datetime, float]

COLUMNS: Final = ("points", "first", "last", "min", "max", "mean", "p95", "slope_per_hour", "peak_at")


@dataclass(frozen=True, slots=True)
class Description:
    """What all points of a series say: the slope is that of the least squares, in units an hour."""

    points: int
    first: float
    last: float
    min: float
    max: float
    mean: float
    p95: float
    slope_per_hour: float | None
    """None for points of one moment."""
    peak_at: datetime

    def row(self) -> tuple[int | float | datetime | None, ...]:
        """Return the values in the order of COLUMNS."""
        return tuple(getattr(self, name) for name in COLUMNS)


def describe(points: Sequence[Point]) -> Description | None:
    """Return what describes a series, None for one without finite points. `p95` is a value that occurred."""
    finite = [(time, value) for time, value in points if math.isfinite(value)]
    if not finite:
        return None
    values = [value for _, value in finite]
    ordered = sorted(values)
    peak = max(finite, key=lambda point: point[1])
    return Description(
        len(values),
        values[0],
        values[-1],
        ordered[0],
        ordered[-1],
        _mean(values),
        ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)],
        _slope(finite),
        peak[0],
    )


def thin(points: Sequence[Point], at_most: int = POINTS) -> list[Point]:
    """Return at most so many points (two or more): the first, the last, each bucket's lowest and highest, in order."""
    finite = [(time, value) for time, value in points if math.isfinite(value)]
    if len(finite) <= at_most:
        return finite
    buckets = max(1, (at_most - 2) // 2)
    inner = range(1, len(finite) - 1)
    kept = {0, len(finite) - 1}
    if at_most > 3:  # noqa: PLR2004  there is room for a bucket's two
        for number in range(buckets):
            bucket = inner[number * len(inner) // buckets : (number + 1) * len(inner) // buckets]
            kept.add(min(bucket, key=lambda place: finite[place][1]))
            kept.add(max(bucket, key=lambda place: finite[place][1]))
    return [finite[place] for place in sorted(kept)]


def _mean(values: Sequence[float]) -> float:
    # Each share is finite even where the sum would not be.
    return math.fsum(value / len(values) for value in values)


def _slope(points: Sequence[Point]) -> float | None:
    begin = points[0][0]
    hours = [(time - begin).total_seconds() / _HOUR for time, _ in points]
    values = [value for _, value in points]
    mean_hours, mean_value = _mean(hours), _mean(values)
    spread = math.fsum((hour - mean_hours) ** 2 for hour in hours)
    if spread == 0:
        return None
    slope = math.fsum(
        (hour - mean_hours) * (value - mean_value) / spread for hour, value in zip(hours, values, strict=True)
    )
    return slope if math.isfinite(slope) else None
