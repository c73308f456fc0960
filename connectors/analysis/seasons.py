"""What is usual at an hour of the day: the median of that hour on the other days, drawn out between the hours.

The day itself is left out of its own expectation, so that a day that is different does not excuse itself.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from connectors.analysis.robust import median

DAY: Final = 86_400.0
HOUR: Final = 3_600.0
PERIODS: Final = 3
"""At least so many days."""


def days(times: Sequence[float]) -> float:
    """Return the length of a series in days."""
    return (times[-1] - times[0]) / DAY if times else 0.0


def enough(times: Sequence[float], step: float) -> bool:
    """Whether a series has three days, of several points each."""
    return days(times) + step / DAY >= PERIODS and step <= DAY / 4


def usual(times: Sequence[float], values: Sequence[float]) -> list[float]:
    """Return what is usual at each time (seconds, ascending). The median of all where other days have no such hour."""
    cells: dict[tuple[int, int], list[float]] = defaultdict(list)
    for time, value in zip(times, values, strict=True):
        cells[int(time // DAY), int(time % DAY // HOUR)].append(value)
    hours: dict[int, dict[int, float]] = defaultdict(dict)
    for (day, hour), found in cells.items():
        hours[hour][day] = median(found)
    overall = median(values)
    known: dict[tuple[int, int], float] = {}

    def at(day: int, hour: int) -> float:
        place = day, hour % 24
        if place not in known:
            others = [value for other, value in hours[place[1]].items() if other != day]
            known[place] = median(others) if others else overall
        return known[place]

    expected = []
    for time in times:
        day = int(time // DAY)
        # Between the middles of two hours.
        place = time % DAY / HOUR - 0.5
        before = math.floor(place)
        share = place - before
        expected.append(at(day, before) * (1 - share) + at(day, before + 1) * share)
    return expected
