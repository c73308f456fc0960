"""Which series move together, and which of two moves first.

Each pair is compared at every lag within a bound; the lag at which the two agree most is returned, with a p-value that
accounts for the search and for values that depend on those before: two slow series agree by chance far more often than
their number of points suggests, so the number of independent values is estimated (Bretherton and others 1999) and
stated. Many pairs: `significant` goes by the q-value of Benjamini and Hochberg. That two agree says not that one causes
the other.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from access.inference import SIGNIFICANT, correlation_p_value, false_discovery, pearson
from access.refusal import invalid
from connectors.analysis.aligned import buckets, step_of
from connectors.contract import Point

LEAST: Final = 10
"""Fewer common points have no correlation."""
BUCKETS: Final = 400
SERIES: Final = 20
"""All pairs of so many take about three seconds of a core."""
LAGS: Final = 48
"""At most so many buckets to either side, and at most a quarter of all."""
_MEMORY: Final = 60


@dataclass(frozen=True, slots=True)
class Correlation:
    """How two series agree. `lag_seconds` is positive where the first is ahead of the second."""

    first: str
    second: str
    correlation: float | None
    """Pearson's, at the lag. None: too few common points, or one of the two is constant; `note` says which."""
    lag_seconds: float
    at_no_lag: float | None
    """The correlation without a lag."""
    n: int
    """Common buckets."""
    effective_n: float
    """So many independent values they are worth."""
    p_value: float | None
    q_value: float | None = None
    significant: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Correlations:
    """All pairs, the strongest first, and the buckets that they were brought to."""

    pairs: Sequence[Correlation]
    bucket_seconds: float
    lags: int
    """So many buckets to either side were tried."""


def correlate(
    series: Sequence[tuple[str, Sequence[Point]]],
    max_lag_seconds: float = 0.0,
    bucket_seconds: float | None = None,
) -> Correlations:
    """Return how each pair of series agrees. The buckets are as long as the longest step unless they are given.

    Raises Refusal for fewer than two series, more than 20, and a lag or a bucket that is no length of time.
    """
    if not 2 <= len(series) <= SERIES:  # noqa: PLR2004  a pair
        raise invalid("series", f"Between 2 and {SERIES} series can be compared; these are {len(series)}.")
    if not (math.isfinite(max_lag_seconds) and max_lag_seconds >= 0):
        raise invalid("max_lag", "The longest lag must be 0 seconds or more.", ("0", "300"))
    if bucket_seconds is not None and not (math.isfinite(bucket_seconds) and bucket_seconds > 0):
        raise invalid("bucket", "A bucket must be longer than 0 seconds.", ("60",))
    steps = [step_of(points) for _, points in series]
    length = bucket_seconds or max(steps)
    _, length, aligned = buckets([points for _, points in series], length, BUCKETS)
    lags = int(min(max_lag_seconds // length, LAGS, len(aligned[0]) // 4)) if length > 0 else 0
    names = [name for name, _ in series]
    pairs = [
        _pair(names[a], names[b], aligned[a], aligned[b], lags, length)
        for a, b in itertools.combinations(range(len(series)), 2)
    ]
    q_values = false_discovery([pair.p_value for pair in pairs])
    tested = [
        replace(pair, q_value=q, significant=q is not None and q <= SIGNIFICANT)
        for pair, q in zip(pairs, q_values, strict=True)
    ]
    tested.sort(key=lambda pair: (not pair.significant, -abs(pair.correlation or 0)))
    return Correlations(tested, length, lags)


def _pair(
    first: str,
    second: str,
    x: Sequence[float | None],
    y: Sequence[float | None],
    lags: int,
    length: float,
) -> Correlation:
    best: tuple[float, int, list[float], list[float]] | None = None
    at_no_lag: float | None = None
    n = 0
    for lag in sorted(range(-lags, lags + 1), key=abs):
        # A positive lag: what x is now, y is later.
        shifted = zip(x, y[lag:], strict=False) if lag >= 0 else zip(x[-lag:], y, strict=False)
        common = [(a, b) for a, b in shifted if a is not None and b is not None]
        if lag == 0:
            n = len(common)
        if len(common) < LEAST:
            continue
        left, right = [a for a, _ in common], [b for _, b in common]
        found = pearson(left, right)
        if lag == 0:
            at_no_lag = found
        if found is not None and (best is None or abs(found) > abs(best[0])):
            best = (found, lag, left, right)
    if best is None:
        note = f"fewer than {LEAST} common points" if n < LEAST else "one of the two is constant"
        return Correlation(first, second, None, 0.0, None, n, 0.0, None, note=note)
    found, lag, left, right = best
    worth = effective(left, right)
    p_value = _p_value(found, worth)
    # So many lags were tried, of which neighbours that depend on each other are no trials of their own.
    trials = 1 + 2 * lags * worth / len(left)
    return Correlation(
        first,
        second,
        found,
        lag * length,
        at_no_lag,
        len(left),
        worth,
        None if p_value is None else min(1.0, p_value * trials),
    )


def effective(x: Sequence[float], y: Sequence[float]) -> float:
    """Return how many independent pairs these are worth, from the autocorrelations of both at all lags."""
    n = len(x)
    a, b = _autocorrelations(x), _autocorrelations(y)
    total = 1 + 2 * math.fsum((1 - lag / n) * a[lag] * b[lag] for lag in range(1, len(a)))
    return min(float(n), max(2.0, n / total)) if total > 0 else float(n)


def _autocorrelations(values: Sequence[float]) -> list[float]:
    """Return the autocorrelations up to a fifth of the length, and lag 60. Those that noise has count as 0."""
    n = len(values)
    mean = math.fsum(values) / n
    distances = [value - mean for value in values]
    largest = max(map(abs, distances))
    if largest <= 0:
        return [1.0]
    distances = [distance / largest for distance in distances]
    square = math.fsum(distance * distance for distance in distances)
    error = 2 / math.sqrt(n)
    found = [1.0]
    for lag in range(1, max(2, min(n // 5, _MEMORY))):
        one = math.fsum(a * b for a, b in zip(distances, distances[lag:], strict=False)) / square
        found.append(one if abs(one) > error else 0.0)
    return found


def _p_value(correlation: float, worth: float) -> float | None:
    """Return the p-value for so many independent pairs, None for hardly any."""
    return correlation_p_value(correlation, int(worth)) if worth >= 3 else 1.0  # noqa: PLR2004  a degree of freedom
