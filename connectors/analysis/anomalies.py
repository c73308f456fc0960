"""The odd points of a series: spikes, drops, shifts of its level, trends, and hours that are not as usual.

`detect` judges one series, `detect_many` several, with the false discoveries among all of them bounded. Neighbouring
odd points are one anomaly, and so is a shift or a trend, however many points it has. docs/statistics.md says what each
method finds and misses. Pure functions: no clock, and no chance but what is fixed.
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from access.inference import SIGNIFICANT, false_discovery
from access.refusal import Refusal, invalid, unknown
from connectors.analysis import seasons
from connectors.analysis.judging import Judged, Method, Sensitivity, judge
from connectors.analysis.robust import median, quantile
from connectors.analysis.sentences import described
from connectors.analysis.shifts import Change, Shape
from connectors.contract import Point, Series

LEAST: Final = 8
"""Fewer points show nothing."""
_APART: Final = 2
"""So many ordinary points between odd ones do not make two anomalies of them."""
_LARGEST: Final = 1_000.0
"""The largest score: where all other points are equal, each distance is endless."""


class Sort(StrEnum):
    """What an anomaly looks like."""

    SPIKE = "spike"
    DROP = "drop"
    LEVEL_UP = "level_up"
    LEVEL_DOWN = "level_down"
    TREND_UP = "trend_up"
    TREND_DOWN = "trend_down"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One or more neighbouring odd points.

    `value` is the one furthest off; of a shift, the median; of a trend, where it ends.
    `deviation_score` is how far off, in robust standard deviations of the baseline, at most 1,000.
    """

    timestamp: datetime
    value: float
    expected_range: tuple[float, float]
    deviation_score: float
    severity: str
    """low, medium or high."""
    description: str
    kind: Sort
    until: datetime
    """The time of the last odd point."""
    points: int
    p_value: float
    """How often chance yields this in a series of so many points."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the points say that are not odd. `p95` is interpolated; `std_dev` is 0 for a constant."""

    mean: float
    std_dev: float
    p95: float


@dataclass(frozen=True, slots=True)
class Anomalies:
    """What was found in one series."""

    anomalies: Sequence[Anomaly]
    baseline_stats: Baseline | None
    """None for a series without finite points."""
    method: Method
    """The method used: never auto."""
    n: int
    """Finite points."""
    missing: int
    """Points without a finite value, and points that the usual step lets expect."""
    notes: Sequence[str] = ()

    @property
    def anomalies_detected(self) -> bool:
        """Whether there are any."""
        return bool(self.anomalies)


def detect(
    points: Sequence[Point],
    method: str = "auto",
    sensitivity: str = "medium",
    *,
    name: str = "",
    unit: str = "",
) -> Anomalies:
    """Return the anomalies of a series, by time. `name` and `unit` are for the descriptions.

    Raises Refusal for an unknown method or sensitivity, and for `seasonal` with less than three days.
    """
    how, how_much = _method(method), _sensitivity(sensitivity)
    times, values = _finite(points)
    step = median([b - a for a, b in itertools.pairwise(times)]) if len(times) > 1 else 0.0
    asked = sorted({time for time, _ in points})
    missing = len(asked) - len(values) + _absent(asked, step)
    if how is Method.SEASONAL and not seasons.enough(times, step):
        raise _too_short(times)
    if len(values) < LEAST:
        used = Method.ZSCORE if how is Method.AUTO else how
        note = f"Only {len(values)} points: at least {LEAST} are needed to say what is usual."
        return Anomalies((), _baseline(values), used, len(values), missing, (note,))
    judged = judge(times, values, how, how_much)
    found = sorted(
        [*_changed(judged, times, name, unit), *_runs(judged, times, name, unit)],
        key=lambda one: one.timestamp,
    )
    return Anomalies(found, _baseline(_ordinary(judged)), judged.method, len(values), missing)


def detect_many(
    series: Sequence[Series],
    method: str = "auto",
    sensitivity: str = "medium",
    *,
    name: str = "",
    unit: str = "",
) -> list[Anomalies]:
    """Return the anomalies of each series; those that so many series yield by chance are left out, which a note says.

    The bound is Benjamini and Hochberg's over all anomalies: about one in twenty of those returned may be chance.
    """
    found = [detect(one.points, method, sensitivity, name=name, unit=unit) for one in series]
    # A series without anomalies is a test too: its smallest p-value is that of none.
    tests: list[float | None] = []
    for one in found:
        tests += [each.p_value for each in one.anomalies] or [1.0]
    q_values = iter(false_discovery(tests))
    kept = []
    for one in found:
        pairs = [(each, next(q_values)) for each in one.anomalies]
        if not pairs:
            next(q_values)
        true = [each for each, q in pairs if q is not None and q <= SIGNIFICANT]
        gone = len(pairs) - len(true)
        note = f"{gone} more are left out: {len(series)} series yield as many by chance."
        kept.append(replace(one, anomalies=true, notes=(*one.notes, note)) if gone else one)
    return kept


def _method(text: str) -> Method:
    try:
        return Method(text)
    except ValueError:
        raise unknown("method", text, list(Method), "method") from None


def _sensitivity(text: str) -> Sensitivity:
    try:
        return Sensitivity(text)
    except ValueError:
        raise unknown("sensitivity", text, list(Sensitivity), "sensitivity") from None


def _too_short(times: Sequence[float]) -> Refusal:
    return invalid(
        "method",
        f"The method seasonal compares the same hour of at least {seasons.PERIODS} days, several points each;"
        f" these points span {seasons.days(times):.1f} days. Ask for a longer period, or take auto.",
        [one.value for one in Method if one is not Method.SEASONAL],
    )


def _finite(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Return the times and values that are finite, in order; of several at one time, the last."""
    kept = {time: value for time, value in points if value is not None and math.isfinite(value)}
    return sorted(kept), [kept[time] for time in sorted(kept)]


def _absent(times: Sequence[float], step: float) -> int:
    if step <= 0:
        return 0
    return sum(max(0, round((b - a) / step) - 1) for a, b in itertools.pairwise(times))


def _baseline(values: Sequence[float]) -> Baseline | None:
    if not values:
        return None
    mean = math.fsum(value / len(values) for value in values)
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return Baseline(mean, deviation, quantile(sorted(values), 0.95))


def _ordinary(judged: Judged) -> list[float]:
    """Return the values that are neither odd nor part of a change, or all where none is left."""
    kept = [
        value
        for place, value in enumerate(judged.values)
        if not judged.odd[place] and not any(one.begin <= place < one.end for one in judged.changes)
    ]
    return kept or list(judged.values)


def _changed(judged: Judged, times: Sequence[float], name: str, unit: str) -> list[Anomaly]:
    return [_change(change, judged, times, name, unit) for change in judged.changes]


def _change(change: Change, judged: Judged, times: Sequence[float], name: str, unit: str) -> Anomaly:
    first, last = change.begin, change.end - 1
    is_up = change.height > 0
    if change.shape is Shape.TREND:
        kind = Sort.TREND_UP if is_up else Sort.TREND_DOWN
        value = median(judged.values[max(first, last - 4) : last + 1])
    else:
        kind = Sort.LEVEL_UP if is_up else Sort.LEVEL_DOWN
        value = median(judged.values[first : last + 1])
    below, above = judged.limits[first]
    center = judged.centers[first]
    return Anomaly(
        _moment(times[first]),
        value,
        (center - below, center + above),
        _score(change.score),
        "high" if change.score >= 6 else "medium" if change.score >= 3 else "low",  # noqa: PLR2004
        described(
            kind.value, value, center, (center - below, center + above), change.end - first, name, unit
        ),
        kind,
        _moment(times[last]),
        change.end - first,
        min(1.0, math.erfc(change.certainty / math.sqrt(2)) * len(judged.values)),
    )


def _runs(judged: Judged, times: Sequence[float], name: str, unit: str) -> list[Anomaly]:
    """Return neighbouring odd points as one anomaly each, without the edges of a change."""
    runs: list[list[int]] = []
    for place, is_odd in enumerate(judged.odd):
        if not is_odd:
            continue
        is_up = judged.distance(place) > 0
        if runs and place - runs[-1][-1] <= _APART + 1 and is_up == (judged.distance(runs[-1][-1]) > 0):
            runs[-1].append(place)
        else:
            runs.append([place])
    return [_run(run, judged, times, name, unit) for run in runs if not _is_edge(run, judged.changes)]


def _is_edge(run: Sequence[int], changes: Sequence[Change]) -> bool:
    """Whether a run is short and beside the begin or end of a change: it is a part of it."""
    return len(run) <= _APART + 1 and any(
        abs(place - edge) <= _APART + 1
        for change in changes
        for edge in (change.begin, change.end)
        if 0 < edge < len(run) + change.end
        for place in (run[0], run[-1])
    )


def _run(run: Sequence[int], judged: Judged, times: Sequence[float], name: str, unit: str) -> Anomaly:
    peak = max(run, key=lambda place: abs(judged.distance(place)))
    distance = judged.distance(peak)
    is_up = distance > 0
    is_long = len(run) >= max(LEAST, len(judged.values) // 40)
    kind = (Sort.LEVEL_UP if is_up else Sort.LEVEL_DOWN) if is_long else (Sort.SPIKE if is_up else Sort.DROP)
    value = median([judged.values[place] for place in run]) if is_long else judged.values[peak]
    center = judged.center(peak)
    below, above = judged.limits[peak]
    allowed = above if is_up else below
    ratio = abs(distance) / allowed if allowed > 0 else math.inf
    scale = judged.tail.scale
    return Anomaly(
        _moment(times[run[0]] if is_long else times[peak]),
        value,
        (center - below, center + above),
        _score(abs(distance) / scale if scale > 0 else math.inf),
        "high" if ratio >= 3 else "medium" if ratio >= 1.5 else "low",  # noqa: PLR2004
        described(kind.value, value, center, (center - below, center + above), len(run), name, unit),
        kind,
        _moment(times[run[-1]]),
        len(run),
        min(1.0, judged.tail.p_value(abs(distance)) * len(judged.values)),
    )


def _score(score: float) -> float:
    return round(min(score, _LARGEST), 2)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
