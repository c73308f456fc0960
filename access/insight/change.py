"""Whether a series changed for the worse, when, and how certainly.

Windows of days that reach into the period are compared with all other days: shares by the deviance of two binomial
rates, other counts of two Poisson ones, means by that of two normal means. The deviance is divided by the spread of the
ordinary days (at least that of chance, with some days' worth of doubt where there are few), so that bursts as
there always are do not stand out. A window needs usual days before it. The moment is then found by the hour, where the
rate before and the rate since explain the hours best. Source: Hinkley, "Inference about the change-point in a sequence
of random variables" (1970).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from access.insight.series import DAY, HOUR, MEANS, SHARES, Measure, Series, Step, Sum, total

BASE_DAYS: Final = 4
"""Days with data that a window needs before it."""
CERTAIN: Final = 6.0
"""Standard deviations. Some 10,000 series with some 20 windows each are looked at, and tails are heavy."""
_CERTAIN_OF: Final = {Measure.REQUESTS: 10.0, Measure.REQUEST_COST: 10.0, Measure.REQUEST_TIME: 8.0}
"""How many requests a prompt needs depends on the prompt: prompts of a session are alike."""
_ALIKE: Final = {Measure.MODEL: 15.0, Measure.REQUEST_COST: 4.0, Measure.SUBAGENTS: 2.0}
"""The least spread: requests of a session have one model, and subagents are started together."""
_DOUBT: Final = 4.0
"""As many days' worth of ordinary chance are added to the days that the spread is known by."""
_INNER: Final = 8.0
"""What a window that is over again has to explain more than one that goes on."""
_LONGEST: Final = 7
_BACK: Final = 5 * DAY
_FEWEST: Final = 20
"""Attempts before a window."""
_FLOORS: Final[dict[Measure, tuple[float, float]]] = {
    # The ratio to the usual, and how many more (of counts), that are worth a person's time.
    Measure.CONNECTION: (3.0, 5),
    Measure.TOOL_FAILS: (1.8, 8),
    Measure.HOOK_FAILS: (2.5, 8),
    Measure.HOOK_BLOCKS: (2.5, 8),
    Measure.API: (2.5, 8),
    Measure.MODEL: (1.5, 20),
    Measure.AGENT_COST: (1.5, 0),
    Measure.ANSWERS: (1.5, 0),
    Measure.SUBAGENTS: (2.0, 12),
    Measure.LOOPS: (3.0, 12),
    Measure.COMPACTIONS: (2.5, 6),
    Measure.REFUSALS: (2.0, 8),
    Measure.RETRIES: (2.5, 20),
    Measure.REQUESTS: (1.8, 50),
    Measure.HOOK_TIME: (1.6, 0),
    Measure.TOOL_TIME: (1.6, 0),
    Measure.FIRST_TOKEN: (1.4, 0),
    Measure.WAIT: (1.8, 0),
    Measure.REQUEST_TIME: (1.5, 0),
    Measure.REQUEST_COST: (1.5, 0),
    Measure.CACHE: (1.5, 0),
}
_OWN_USUAL: Final = 10
_LEANS: Final = 20.0
_CLOCK_DAYS: Final = 3
_CLOCK_TIMES: Final = 12
_CLOCK_SHARE: Final = 0.85
_CLOCK_HOURS: Final = 8
_POINTS: Final = 0.06
"""The share of input that is not cached has to grow by this."""


@dataclass(frozen=True, slots=True)
class Change:
    """A window in which a series was worse than usual."""

    series: Series
    begin: int
    """Unix seconds."""
    end: int | None
    """None: it goes on."""
    inside: Sum
    usual: Sum
    deviance: float
    z: float
    is_of_its_own: bool = False
    """It is compared with others, since it was not there before: a version of the client."""
    clock: tuple[int, int, float] | None = None
    """The hours of the day, UTC, from and to which most of it happens, and what share; None when it happens all day."""

    @property
    def measure(self) -> Measure:
        """What is measured."""
        return self.series.measure

    @property
    def now(self) -> float:
        """Return the rate, the share or the mean in the window."""
        return level(self.measure, self.inside)

    @property
    def before(self) -> float:
        """Return the usual one."""
        return level(self.measure, self.usual)

    @property
    def excess(self) -> float:
        """Return how many times more than usual it happened."""
        return max(0.0, self.inside.k - self.before * self.inside.n)


def level(measure: Measure, of: Sum) -> float:
    """Return a rate, or a mean: of times and costs the geometric one, in ms or dollars."""
    if not of.n:
        return 0.0
    if measure in MEANS:
        mean = of.x / of.n
        return mean if measure is Measure.CACHE else math.exp(mean)
    return of.k / of.n


def changed(
    series: Series, since: int, until: int, usual: Sequence[Step] | None = None, least: float = CERTAIN
) -> Change | None:
    """Return the most certain change for the worse that reaches into the period, None without one.

    The steps are days. `usual` is what it is compared with where the series itself is new, such as that of a version.
    `least` is how certain it has to be, in standard deviations.
    """
    measure = series.measure
    days = [step for step in series.steps if step.begin < until]
    sums = [Sum()]
    for day in days:
        sums.append(sums[-1] + day)
    whole = sums[-1]
    certain = least / CERTAIN * _CERTAIN_OF.get(measure, CERTAIN)
    best: tuple[float, Change] | None = None
    for first in range(len(days) if usual is None else min(1, len(days))):
        if usual is None and (first < BASE_DAYS or sums[first].n < _fewest(measure)):
            continue
        for last in range(first, len(days)):
            goes_on = last == len(days) - 1
            if days[last].begin + DAY <= since or (not goes_on and last - first >= _LONGEST):
                continue
            inside = sums[last + 1] - sums[first]
            outside = whole - inside if usual is None else total(usual)
            found = _deviance(measure, inside, outside)
            if found <= certain**2 or not matters(measure, inside, outside):
                continue
            score = found / _spread(
                measure, [*days[:first], *days[last + 1 :]] if usual is None else usual, outside
            )
            # The likeliest window; its spread says only whether it is one at all.
            rank = found - (0 if goes_on else _INNER)
            if score >= certain**2 and (best is None or rank > best[0]):
                end = None if goes_on else days[last].begin + DAY
                z, is_own = math.sqrt(score), usual is not None
                best = (rank, Change(series, days[first].begin, end, inside, outside, found, z, is_own))
    return best[1] if best else None


def _fewest(measure: Measure) -> int:
    return 8 if measure in {Measure.CONNECTION, Measure.REFUSALS} else _FEWEST


def matters(measure: Measure, inside: Sum, outside: Sum) -> bool:
    """Whether a level is so much worse than another that it is worth a person's time."""
    now, before = level(measure, inside), level(measure, outside)
    ratio, more = _FLOORS[measure]
    if measure is Measure.CACHE:
        return now - before >= _POINTS and now >= before * ratio
    return now >= before * ratio and (measure in MEANS or inside.k - before * inside.n >= more)


def _deviance(measure: Measure, one: Sum, two: Sum) -> float:
    """Return twice the logarithm of the ratio of likelihoods of two levels and of one; 0 where it is not worse."""
    if one.n <= 0 or two.n <= 0:
        return 0.0
    if measure in MEANS:
        gap = one.x / one.n - two.x / two.n
        within = one.xx - one.x**2 / one.n + two.xx - two.x**2 / two.n
        variance = max(within / max(one.n + two.n - 2, 1), 1e-4)
        return gap**2 / (variance * (1 / one.n + 1 / two.n)) if gap > 0 else 0.0
    # Half an event more: what never happened before can happen.
    rate = (one.k + two.k + 0.5) / (one.n + two.n)
    mean_one, mean_two = rate * one.n, rate * two.n
    if one.k / one.n <= (two.k + 0.5) / two.n:
        return 0.0
    found = _part(one.k, mean_one) + _part(two.k, mean_two)
    if measure in SHARES:
        # Those in which it did not happen are as telling, where it happens often.
        found += _part(one.n - one.k, one.n - mean_one) + _part(two.n - two.k, two.n - mean_two)
    return 2 * found


def _part(k: float, mean: float) -> float:
    mean = max(mean, 1e-9)
    return (k * math.log(k / mean) if k > 0 else 0.0) - (k - mean)


def _spread(measure: Measure, days: Sequence[Step], whole: Sum) -> float:
    """Return by how much the ordinary days differ more than by chance: at least 1."""
    least = _ALIKE.get(measure, 1.0)
    if len(days) < 2 or whole.n <= 0:  # noqa: PLR2004
        return least
    if measure in MEANS:
        mean = whole.x / whole.n
        variance = max((whole.xx - whole.x**2 / whole.n) / max(whole.n - 1, 1), 1e-4)
        squares = sum(day.n * (day.x / day.n - mean) ** 2 / variance for day in days if day.n)
    else:
        rate = (whole.k + 0.5) / whole.n
        squares = sum((day.k - rate * day.n) ** 2 / max(rate * day.n, 0.5) for day in days)
    return max(least, (squares + _DOUBT) / (len(days) - 1 + _DOUBT))


def misfit(change: Change, part: Series) -> float | None:
    """Return how badly a part of a scope, such as one of a team's people, fits what is said of all of it.

    None without data of it in the window.
    """
    inside = total([one for one in part.steps if _is_inside(change, one)])
    if not inside.n:
        return None
    if change.measure not in MEANS:
        expected = max(change.now * inside.n, 1e-9)
        return 2 * _part(inside.k, expected)
    outside = total([one for one in part.steps if not _is_inside(change, one)])
    shift = change.inside.x / change.inside.n - change.usual.x / change.usual.n
    usual = outside.x / outside.n if outside.n else change.usual.x / change.usual.n
    # Of both: what is always the same in the window, such as nothing from the cache, would forgive no difference.
    spreads = [one.xx - one.x**2 / one.n for one in (change.inside, change.usual)]
    variance = max(sum(spreads) / max(change.inside.n + change.usual.n - 2, 1), 1e-4)
    return inside.n * (inside.x / inside.n - usual - shift) ** 2 / variance


def within(change: Change, part: Series) -> Sum:
    """Return what a series has in the window of a change."""
    return total([one for one in part.steps if _is_inside(change, one)])


def without(change: Change, part: Series) -> Sum:
    """Return what a series has outside of the window of a change."""
    return total([one for one in part.steps if not _is_inside(change, one)])


def gain(change: Change, everyone: Sum) -> float:
    """Return twice how much better a change explains its window than the usual does, to compare scopes with.

    The usual of a scope with few attempts leans on everyone's, and none is less than that: what never happened before
    is not more certain of many attempts than of few, and the one who has all of it explains it best. Means are
    measured by everyone's spread: by their own, those few would win whose usual days are alike by chance.
    """
    measure, inside, usual = change.measure, change.inside, change.usual
    if measure in MEANS:
        one, two = inside.x / inside.n, usual.x / usual.n
        whole = everyone if everyone.n else usual
        variance = max((whole.xx - whole.x**2 / whole.n) / max(whole.n - 1, 1), 1e-4)
        return inside.n * (one - two) ** 2 / variance
    rate = (everyone.k + 0.5) / max(everyone.n, 1.0)
    before = max(rate, (usual.k + _LEANS * rate) / (usual.n + _LEANS))
    found = _part(inside.k, before * inside.n)
    if measure in SHARES:
        found += _part(inside.n - inside.k, inside.n - before * inside.n)
    return 2 * found


def plain(change: Change, of: Sum) -> float:
    """Return a rate, or a mean as it is measured: of logarithms for times."""
    return (of.x if change.measure in MEANS else of.k) / of.n if of.n else 0.0


def expected(change: Change, part: Series) -> tuple[float, float]:
    """Return how much of the window a part of a scope has, and what it would have had as it usually is."""
    inside = total([one for one in part.steps if _is_inside(change, one)])
    outside = total([one for one in part.steps if not _is_inside(change, one)])
    usual = plain(change, outside) if outside.n >= _OWN_USUAL else plain(change, change.usual)
    return inside.n, inside.n * usual


def _is_inside(change: Change, step: Step) -> bool:
    return step.begin >= change.begin and (change.end is None or step.begin < change.end)


def at_the_hour(change: Change, hours: Sequence[Step]) -> Change:
    """Return the change with the hours in which it began and, where it is over, ended. The steps are hours."""
    if not hours:
        return change
    gains = [_gain(change, hour) for hour in hours]
    # Up to the day of work before: a day that was bad for an hour is not in the window yet.
    days = [step.begin for step in change.series.steps if change.begin - _BACK <= step.begin < change.begin]
    near = days[-1] if days else change.begin
    begin = _best(hours, gains, near, change.begin + _BACK)
    if begin is None:
        return change
    end = change.end
    if end is not None:
        backwards = [*reversed(hours)]
        last = _best(backwards, [*reversed(gains)], end - 2 * DAY, end)
        end = end if last is None or last < begin else last + HOUR
    return replace(change, begin=begin, end=end)


def by_the_clock(change: Change, hours: Sequence[Step]) -> tuple[int, int, float] | None:
    """Return the hours of the day of a count that happens on several days at some hours, from and to, and its share.

    It is the shortest stretch with most of it; at the other hours it has to be rarer by more than chance.
    """
    inside = [hour for hour in hours if _is_inside(change, hour)]
    days = {hour.begin // DAY for hour in inside if hour.k}
    if change.measure in MEANS or len(days) < _CLOCK_DAYS or change.inside.k < _CLOCK_TIMES:
        return None
    whole = total(inside)
    for length in range(1, _CLOCK_HOURS + 1):
        for first in range(24):
            part = total([hour for hour in inside if (hour.begin % DAY // HOUR - first) % 24 < length])
            rest = whole - part
            if part.k >= _CLOCK_SHARE * whole.k and _deviance(change.measure, part, rest) >= CERTAIN**2:
                return first, (first + length) % 24, part.k / whole.k
    return None


def _best(hours: Sequence[Step], gains: Sequence[float], least: int, most: int) -> int | None:
    """Return the hour from which on (in this order) the sum of gains is the largest."""
    rest, found, best = 0.0, None, -math.inf
    for hour, gain in zip(reversed(hours), reversed(gains), strict=True):
        rest += gain
        if least <= hour.begin < most and rest > best and gain > 0:
            best, found = rest, hour.begin
    return found


def _gain(change: Change, hour: Step) -> float:
    """Return by how much the level of the window explains an hour better than the usual one."""
    if not hour.n:
        return 0.0
    measure, inside, usual = change.measure, change.inside, change.usual
    if measure in MEANS:
        one, two = inside.x / inside.n, usual.x / usual.n
        mean = hour.x / hour.n
        variance = max((usual.xx - usual.x**2 / usual.n) / max(usual.n - 1, 1), 1e-4)
        return hour.n * ((mean - two) ** 2 - (mean - one) ** 2) / (2 * variance)
    one, two = inside.k / inside.n, (usual.k + 0.5) / usual.n
    return hour.k * math.log(max(one, 1e-9) / two) - hour.n * (one - two)
