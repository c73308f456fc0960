"""How the measures of a unit are distributed, in two statements over its rows, however many measures there are.

The first sorts the values of each measure once, and reads from the sorted values all that a summary has; the second
names the rows that lie furthest out, and takes the sample of which correlations are made. A unit such as a session is
added up of its events again for each statement over it, so their number is what an answer costs. Where the first takes
too much memory, it is asked for one measure at a time.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from access.answer import Row
from access.refusal import Code, Refusal
from access.store import Store
from access.units import ADDED

SAMPLE: Final = 4_000
"""Rows of which correlations are made."""
EXTREMES: Final = 3
TUKEY: Final = 1.5
MAD: Final = 3.5
NORMAL: Final = 1.482602
"""By this the median absolute deviation of normal values becomes their standard deviation."""
COLUMNS: Final = (
    "measure", "n", "missing", "mean", "median", "std_dev", "min", "p50", "p95", "p99", "max", "tukey_low",
    "tukey_high", "tukey_outliers", "mad", "mad_outliers",
)  # fmt: skip
_HASHES: Final = 1 << 64
_MARGIN: Final = 8
"""Standard deviations by which the rows below a hash are expected to be more than the sample."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the engine says of one measure. All numbers are None without values, the deviation with fewer than two.

    `mad_outliers` is None where the median absolute deviation is 0: more than half of the values are equal then, and
    all others would be outliers.
    """

    measure: str
    n: int
    missing: int
    mean: float | None = None
    median: float | None = None
    std_dev: float | None = None
    min: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    tukey_low: float | None = None
    tukey_high: float | None = None
    tukey_outliers: int | None = None
    mad: float | None = None
    mad_outliers: int | None = None

    def row(self) -> tuple[Any, ...]:
        """Return the values in the order of COLUMNS."""
        return tuple(getattr(self, name) for name in COLUMNS)

    @property
    def is_constant(self) -> bool:
        """Whether there are values, all equal."""
        return self.n > 0 and self.min == self.max


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many rows there are, a summary for each measure, and the rows of the series, one for each bucket."""

    units: int
    summaries: tuple[Summary, ...]
    series: tuple[Row, ...]
    far: Mapping[str, Sequence[float]]
    """The values of each measure that lie outside of its fences, furthest first, at most EXTREMES."""
    sql: str


@dataclass(frozen=True, slots=True)
class Singled:
    """The rows that were singled out: the extremes, and the sample's values by measure."""

    extremes: tuple[Row, ...]
    """Measure, value, distance from the median, unit, time."""
    sample: Mapping[str, Sequence[float | None]]


def distribution(
    store: Store,
    rows: str,
    measures: Sequence[str],
    values: Mapping[str, str],
    *,
    with_outliers: bool,
    buckets: range | None,
) -> Distribution:
    """Return the distributions of the measures of `rows`, a subquery with its `values` to bind. Raises Refusal.

    `buckets` are the beginnings of the series' buckets, in seconds since 1970; None: there is no series.
    """

    def written(some: Sequence[str]) -> str:
        return _statement(rows, some, with_outliers=with_outliers, step=buckets.step if buckets else None)

    sql = written(measures)
    try:
        found = store.rows(sql, values).dicts()
    except Refusal as refusal:
        if refusal.code is not Code.RESULT_TOO_LARGE or len(measures) == 1:
            raise
        # All values of all measures are more than a statement may hold; those of one are a part of it.
        found = [row for one in measures for row in store.rows(written([one]), values).dicts()]
    units = int(found[0]["units"])
    summaries = tuple(_summary(name, units, row) for name, row in zip(measures, found, strict=True))
    series = () if buckets is None else tuple(_series(buckets, [row["series"] for row in found]))
    far = {one.measure: row.get("far") or () for one, row in zip(summaries, found, strict=True)}
    return Distribution(units, summaries, series, far, sql)


def singled_out(
    store: Store, rows: str, about: Distribution, values: Mapping[str, str], *, with_sample: bool
) -> Singled:
    """Return the extremes of a distribution, and a sample of its rows. Raises Refusal."""
    bound = dict(values)
    columns = []
    described = [one for one in about.summaries if about.far[one.measure]]
    for place, one in enumerate(described):
        bound |= {
            f"far{place}": f"[{','.join(map(repr, about.far[one.measure]))}]",
            f"median{place}": repr(one.median),
        }
        value = f"assumeNotNull({one.measure})"
        key = f"(-abs({value} - {{median{place}:Float64}}), {value}, unit, timestamp)"
        is_far = f"ifNull(has({{far{place}:Array(Float64)}}, {one.measure}), 0)"
        columns.append(
            "arrayMap(row -> (row.1, row.2, row.3, formatDateTime(row.4, '%Y-%m-%dT%H:%i:%SZ', 'UTC')),"
            f" groupArraySortedIf({EXTREMES})({key}, {is_far}))"
        )
    names = [one.measure for one in about.summaries] if with_sample else []
    if names:
        # Among ten times as many rows, a tenth of the hashes are below a tenth: the others need not be kept.
        wanted = SAMPLE + _MARGIN * math.sqrt(SAMPLE)
        bound["most"] = str(min(_HASHES - 1, int(_HASHES * wanted / max(1, about.units))))
        row = f"(cityHash64(unit, timestamp), unit, timestamp, {', '.join(names)})"
        kept = f"groupArrayIf({row}, cityHash64(unit, timestamp) <= {{most:UInt64}})"
        sample = f"arraySlice(arraySort({kept}), 1, {SAMPLE})"
        columns += [f"arrayMap(row -> row.{place}, {sample})" for place in range(4, 4 + len(names))]
    if not columns:
        return Singled((), {})
    sql = f"SELECT {', '.join(columns)}\nFROM {rows}"
    found = store.rows(sql, bound).rows[0]
    if names and len(found[-1]) < min(SAMPLE, about.units):
        found = store.rows(sql, bound | {"most": str(_HASHES - 1)}).rows[0]
    extremes = tuple(
        (one.measure, value, -below, unit, time)
        for one, furthest in zip(described, found, strict=False)
        for below, value, unit, time in furthest
    )
    return Singled(extremes, dict(zip(names, found[len(described) :], strict=True)))


def _statement(rows: str, measures: Sequence[str], *, with_outliers: bool, step: int | None) -> str:
    """Return the statement with a row for each measure."""
    places = range(len(measures))
    of_bucket = [f"groupArray({name}) AS values{place}" for place, name in enumerate(measures)]
    of_all = [f"groupArrayArray(values{place}) AS all{place}" for place in places]
    joined = [f"[{', '.join(f'all{place}' for place in places)}] AS found"]
    defined = [*_SUMMARY, *(_OUTLIERS if with_outliers else ())]
    shown = [*_SHOWN, *(_SHOWN_OUTLIERS if with_outliers else ())]
    bucket = "0"
    if step is not None:
        bucket = f"intDiv(toUnixTimestamp(rows.timestamp), {step}) * {step}"
        # Null, where a sum of no values would be 0.
        of_bucket += [
            f"{'sumOrNull' if name in ADDED else 'avgOrNull'}({name}) AS made{place}"
            for place, name in enumerate(measures)
        ]
        of_all += [f"groupArray((bucket, count, made{place})) AS series{place}" for place in places]
        joined.append(f"[{', '.join(f'series{place}' for place in places)}] AS series")
        shown.append("series")
    return (
        f"WITH {', '.join(defined)}\nSELECT units, {', '.join(shown)}\n"
        f"FROM (\nSELECT sum(count) AS units, {', '.join(of_all)}\nFROM (\n"
        f"SELECT {bucket} AS bucket, count() AS count, {', '.join(of_bucket)}\n"
        f"FROM (SELECT * FROM {rows}) AS rows\nGROUP BY bucket\n)\n)\nARRAY JOIN {', '.join(joined)}"
    )


def _between(values: str, level: float) -> str:
    """Return a quantile that lies between two values, as quantileExactInclusive has it, of sorted `values`."""
    place = f"({level} * (length({values}) - 1) + 1)"
    below = f"{values}[toUInt64({place})]"
    above = f"{values}[least(toUInt64({place}) + 1, length({values}))]"
    return f"{below} + ({place} - toUInt64({place})) * ({above} - {below})"


def _occurred(values: str, level: float) -> str:
    """Return a quantile that is one of the values, as quantileExact has it, of sorted `values`."""
    return f"{values}[toUInt64({level} * length({values})) + 1]"


_SHOWN: Final = (
    "n", "mean", "std_dev", "least AS min", "most AS max", "p50", "p95", "p99", "median", "tukey_low", "tukey_high",
)  # fmt: skip
_SHOWN_OUTLIERS: Final = ("tukey_outliers", "mad", "mad_outliers", "far")
_SUMMARY: Final = (
    "arraySort(found) AS ordered",
    "length(ordered) AS n",
    "arrayReduce('avg', ordered) AS mean",
    "arrayReduce('stddevSampStable', ordered) AS std_dev",
    "ordered[1] AS least",
    "ordered[-1] AS most",
    *(f"{_occurred('ordered', level)} AS p{100 * level:.0f}" for level in (0.5, 0.95, 0.99)),
    f"{_between('ordered', 0.5)} AS median",
    f"{_between('ordered', 0.25)} AS low",
    f"{_between('ordered', 0.75)} AS high",
    f"low - {TUKEY} * (high - low) AS tukey_low",
    f"high + {TUKEY} * (high - low) AS tukey_high",
)
_OUTLIERS: Final = (
    "arrayCount(value -> value < tukey_low OR value > tukey_high, ordered) AS tukey_outliers",
    "arraySort(arrayMap(value -> abs(value - median), ordered)) AS distances",
    f"{_between('distances', 0.5)} AS mad",
    f"arrayCount(distance -> distance > {MAD * NORMAL!r} * mad, distances) AS mad_outliers",
    # The furthest are at one of the two ends.
    f"arrayDistinct(arrayConcat(arraySlice(ordered, 1, {EXTREMES}), arraySlice(ordered, -{EXTREMES}))) AS ends",
    "arrayFilter(value -> value < tukey_low OR value > tukey_high, ends) AS outside",
    f"arraySlice(arraySort(value -> -abs(value - median), outside), 1, {EXTREMES}) AS far",
)


def _summary(name: str, units: int, found: Mapping[str, Any]) -> Summary:
    n = int(found["n"])
    if not n:
        return Summary(name, 0, units)
    known: dict[str, Any] = {one: found[one] for one in COLUMNS[3:] if one in found}
    if n == 1:
        del known["std_dev"]
    if not known.get("mad"):
        known.pop("mad_outliers", None)
    return Summary(name, n, units - n, **known)


def _series(buckets: range, found: Sequence[Sequence[Sequence[Any]]]) -> list[Row]:
    """Return a row for each bucket, from the buckets that have rows, by measure."""
    counts = {int(bucket): int(count) for bucket, count, _ in found[0]}
    made = [{int(bucket): value for bucket, _, value in one} for one in found]
    return [
        (datetime.fromtimestamp(begin, UTC), counts.get(begin), *(one.get(begin) for one in made))
        for begin in buckets
    ]
