"""Two periods of the same series compared: what changed, by how much, and whether chance explains it.

The test is Mann-Whitney's of all points when they are independent; points that depend on those before are grouped into
blocks that do not, and the blocks' means are compared by Welch's test. Series are the same when their labels are.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from access.inference import SIGNIFICANT, Moments, false_discovery, mann_whitney, welch
from connectors.analysis.robust import dependence, quantile
from connectors.contract import Series

LEAST: Final = 4
"""Fewer independent values in a window have no test."""
_DEPENDENT: Final = 0.2


class Found(StrEnum):
    """In which windows a series has values."""

    BOTH = "both"
    APPEARED = "appeared"
    VANISHED = "vanished"


@dataclass(frozen=True, slots=True)
class Summary:
    """The finite values of a series in a window. `p95` is interpolated."""

    n: int
    mean: float
    p95: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One series in both windows."""

    labels: Mapping[str, str]
    found: Found
    before: Summary | None
    now: Summary | None
    change: float | None
    """The difference of the means."""
    change_percent: float | None
    """In percent of the mean before; None where that is 0."""
    p_value: float | None
    """None: no test, for too few independent values, or constants."""
    test: str
    """mann_whitney, welch_of_blocks, or empty."""
    q_value: float | None = None
    significant: bool = False


def compare(before: Sequence[Series], now: Sequence[Series]) -> list[Comparison]:
    """Return each series of either window: significant changes first, then appeared and vanished, then the others.

    Series whose labels are equal within a window are taken as one.
    """
    earlier, later = _by_labels(before), _by_labels(now)
    found = [_compared(key, earlier.get(key, []), later.get(key, [])) for key in {**later, **earlier}]
    found = [one for one in found if one.before or one.now]
    tested = [
        replace(one, q_value=q, significant=q is not None and q <= SIGNIFICANT)
        for one, q in zip(found, false_discovery([one.p_value for one in found]), strict=True)
    ]
    return sorted(tested, key=_rank)


def _rank(one: Comparison) -> tuple[int, float]:
    order = 0 if one.significant else 1 if one.found is not Found.BOTH else 2
    return order, -abs(one.change_percent or 0.0)


_Key = tuple[tuple[str, str], ...]


def _by_labels(series: Sequence[Series]) -> dict[_Key, list[float]]:
    found: dict[_Key, dict[float, float]] = {}
    for one in series:
        points = found.setdefault(tuple(sorted(one.labels.items())), {})
        points.update(
            {time: value for time, value in one.points if value is not None and math.isfinite(value)}
        )
    return {key: [points[time] for time in sorted(points)] for key, points in found.items()}


def _compared(key: _Key, before: Sequence[float], now: Sequence[float]) -> Comparison:
    earlier, later = _summary(before), _summary(now)
    if earlier is None or later is None:
        where = Found.APPEARED if earlier is None else Found.VANISHED
        return Comparison(dict(key), where, earlier, later, None, None, None, "")
    change = later.mean - earlier.mean
    percent = change / abs(earlier.mean) * 100 if earlier.mean else None
    p_value, test = _tested(before, now)
    return Comparison(dict(key), Found.BOTH, earlier, later, change, _finite(percent), p_value, test)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _summary(values: Sequence[float]) -> Summary | None:
    if not values:
        return None
    ordered = sorted(values)
    mean = math.fsum(value / len(values) for value in values)
    return Summary(len(values), mean, quantile(ordered, 0.95), ordered[0], ordered[-1])


def _tested(before: Sequence[float], now: Sequence[float]) -> tuple[float | None, str]:
    rho = max(dependence(before), dependence(now))
    if rho <= _DEPENDENT:
        if min(len(before), len(now)) < LEAST:
            return None, ""
        p_value = mann_whitney(now, before)
        return p_value, "" if p_value is None else "mann_whitney"
    # Blocks of four times the length over which values depend on one another.
    length = math.ceil(4 * (1 + rho) / (1 - rho))
    first, second = _blocks(before, length), _blocks(now, length)
    if min(len(first), len(second)) < LEAST:
        return None, ""
    p_value = welch(_moments(second), _moments(first))
    return p_value, "" if p_value is None else "welch_of_blocks"


def _blocks(values: Sequence[float], length: int) -> list[float]:
    """Return the means of whole blocks."""
    return [statistics.fmean(values[at : at + length]) for at in range(0, len(values) - length + 1, length)]


def _moments(values: Sequence[float]) -> Moments:
    return Moments(len(values), statistics.fmean(values), statistics.variance(values))
