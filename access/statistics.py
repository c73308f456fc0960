"""`get_statistics`: how the measures of sessions, tool calls, model requests or hours are distributed, and go together.

Means, deviations, percentiles and outliers are made by the engine of all rows. Correlations are made of a sample, with
p-values and, over all pairs, q-values. Unknown values are null and counted as missing, never 0.
docs/statistics.md says what each number assumes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from access import budget
from access.answer import Answer, Range, Table
from access.collected import COLLECTED
from access.correlations import PAIRS, Pair, correlate, correlation_tables
from access.cursor import fingerprint
from access.distribution import COLUMNS, MAD, SAMPLE, TUKEY, Summary, distribution, singled_out
from access.ids import whole_filters
from access.reading import Reading, bounds
from access.refusal import invalid, unknown
from access.telemetry_query import ALIASES, checked_filters
from access.telemetry_sources import filtered
from access.units import ADDED, UNITS, Unit

PARTS: Final = ("summary", "outliers", "correlations", "series")
BUCKETS: Final[Mapping[str, int]] = {
    "1m": 60,
    "5m": 300,
    "15m": 900,
    "1h": 3_600,
    "6h": 21_600,
    "1d": 86_400,
}
"""Seconds of the buckets of a series; they begin at whole multiples, in UTC."""
SMALL: Final = 30
"""With fewer values, high percentiles are hardly more than the largest ones."""
_POINTS: Final = 60
_MOST_BUCKETS: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Asked:
    """The arguments, checked."""

    name: str
    unit: Unit
    measures: tuple[str, ...]
    parts: tuple[str, ...]
    filters: Mapping[str, str]
    step: int
    time_range: Range
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> str:
        """The statement that makes the rows."""
        source = self.unit.source
        inner = filtered(
            source.sql, [source.filters[name] for name in self.filters if name in source.filters]
        )
        outer = " AND ".join(source.outer[name] for name in self.filters if name in source.outer)
        return f"(\n{inner}\n){f' WHERE {outer}' if outer else ''}"

    @property
    def buckets(self) -> range:
        """The beginnings of the series' buckets, in seconds since 1970."""
        first = int(self.time_range.start.timestamp()) // self.step * self.step
        return range(first, math.ceil(self.time_range.end.timestamp()), self.step)


def get_statistics(
    reading: Reading,
    unit: str = "session",
    measures: Sequence[str] | None = None,
    filters: Mapping[str, Any] | None = None,
    *,
    parts: Sequence[str] | None = None,
    bucket: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Answer:
    """Return the statistics of a unit's measures. Raises Refusal.

    `unit` is a key of UNITS, `measures` some of its own, `filters` as those of `query_telemetry`, `parts` some of
    PARTS, `bucket` a key of BUCKETS. The main rows are the summary; the other parts are tables.
    """
    characters = budget.size(max_characters)
    given = dict(filters or {})
    chosen = _chosen("unit", unit, UNITS)
    known = UNITS[chosen].measures
    wanted = _names("measures", measures, known)
    sections = _names("parts", parts, PARTS)
    bound = checked_filters(UNITS[chosen].source, given)
    reading.admit()
    bound = whole_filters(reading, bound)
    about = reading.period(given.get("start_date"), given.get("end_date"), zone)
    asked = _Asked(
        chosen, UNITS[chosen], wanted, sections, bound, _step(about[0], bucket), about[0], bounds(about[0]) | bound
    )  # fmt: skip
    key = (
        "get_statistics",
        fingerprint(chosen, wanted, sections, bound, bucket, zone),
        given.get("start_date"),
    )
    kept, (freshness, completeness) = reading.keep_and_look(
        reading.desk.aggregations, (*key, given.get("end_date")), about,
        lambda: _made(reading, asked), reading.freshness_and_completeness,
    )  # fmt: skip
    answer = replace(
        kept.value,
        freshness=freshness,
        completeness=completeness,
        cached_age_seconds=None if kept.age_seconds is None else int(kept.age_seconds),
    )
    return budget.fit(answer, characters)


def _made(reading: Reading, asked: _Asked) -> Answer:
    with_outliers = "outliers" in asked.parts
    found = distribution(
        reading.store,
        asked.rows,
        asked.measures,
        asked.values,
        with_outliers=with_outliers,
        buckets=asked.buckets if "series" in asked.parts else None,
    )
    units, summaries = found.units, found.summaries
    with_sample = "correlations" in asked.parts
    notes = [asked.unit.note, *_about_values(asked, units, summaries)]
    tables: dict[str, Table] = {}
    pairs: list[Pair] = []
    if units:
        singled = singled_out(reading.store, asked.rows, found, asked.values, with_sample=with_sample)
        if with_outliers:
            tables["extremes"] = Table(("measure", "value", "distance", asked.name, "time"), singled.extremes)
        if with_sample:
            pairs = correlate(singled.sample)
            tables |= correlation_tables(asked.measures, pairs)
            notes += _about_correlations(asked, units, pairs)
        if "series" in asked.parts:
            names = [f"{'sum' if name in ADDED else 'mean'}_{name}" for name in asked.measures]
            tables["series"] = Table(("time", "n", *names), found.series)
            notes.append(
                f"Series have buckets of {asked.step:,} seconds in UTC; a bucket without rows is null, which is not 0."
            )
    is_shown = "summary" in asked.parts or with_outliers
    return Answer(
        COLUMNS if is_shown else (),
        [summary.row() for summary in summaries] if is_shown else (),
        _finding(asked, units, summaries, pairs),
        tables,
        query_executed=found.sql,
        parameters=asked.values,
        time_range=asked.time_range,
        hints=_hints(asked, units),
        notes=tuple(notes),
    )


def _about_values(asked: _Asked, units: int, summaries: Sequence[Summary]) -> list[str]:
    notes: list[str] = []
    if not units:
        return notes
    if constant := [f"{one.measure} = {one.min:g}" for one in summaries if one.is_constant and one.n > 1]:
        notes.append(f"Constant, so that nothing can go together with them: {', '.join(constant)}.")
    if small := [f"{one.measure} ({one.n})" for one in summaries if 0 < one.n < SMALL]:
        notes.append(
            f"Few values: {', '.join(small)}. With fewer than {SMALL}, p95 and p99 are hardly more than the largest."
        )
    if missing := [one.measure for one in summaries if not one.n]:
        notes.append(f"Unknown, since no row has a value: {', '.join(missing)}.")
    if any(one.measure == "ttft_ms" and one.missing > one.n for one in summaries):
        switch = next(one.switch for one in COLLECTED if one.name == "traces")
        notes.append(
            f"Most requests have no ttft_ms: it comes with traces, for which the client needs {switch}."
        )
    if "outliers" in asked.parts:
        notes.append(
            f"Outliers by Tukey lie {TUKEY} interquartile ranges beyond the quartiles; by MAD, {MAD} scaled median"
            " absolute deviations from the median, null where that is 0. Skewed values such as durations and costs"
            " always have some: they are not errors."
        )
    return notes


def _about_correlations(asked: _Asked, units: int, pairs: Sequence[Pair]) -> list[str]:
    tests = sum(p is not None for pair in pairs for p in (pair.pearson_p, pair.spearman_p))
    notes = []
    if tests:
        notes.append(
            "p-values are of Student's t with n - 2 degrees of freedom; q-values are of Benjamini and Hochberg over"
            f" {tests} tests. They take the rows as independent, and a correlation is no cause."
        )
    if any(pair.pearson is None and pair.n < PAIRS for pair in pairs):
        notes.append(f"A correlation is null with fewer than {PAIRS} rows that have both values.")
    if units > SAMPLE:
        notes.append(f"Correlations are of a sample: {SAMPLE:,} of {units:,} rows, chosen by a hash.")
    if asked.name in {"tool_call", "request"} and tests:
        notes.append(
            "Rows of one session resemble each other, so the p-values are too small: unit=session is safer."
        )
    return notes


def _finding(asked: _Asked, units: int, summaries: Sequence[Summary], pairs: Sequence[Pair]) -> str:
    what = asked.name.replace("_", " ")
    if not units:
        return f"No {what} in the period: there is nothing to describe."
    first = next((one for one in summaries if one.n), None)
    words = [f"{units:,} {what}{'' if units == 1 else 's'}"]
    if first is not None:
        words.append(
            f"{first.measure}: median {first.median:.6g}, mean {first.mean:.6g}, p95 {first.p95:.6g}"
        )
    strongest = max(
        (pair for pair in pairs if pair.is_significant and pair.spearman is not None),
        key=lambda pair: abs(pair.spearman or 0),
        default=None,
    )
    if strongest is not None:
        words.append(
            f"{strongest.first} and {strongest.second} go together most (Spearman {strongest.spearman:.2f},"
            f" q = {strongest.spearman_q:.2g}, n = {strongest.n:,})"
        )
    elif any(pair.pearson is not None for pair in pairs):
        words.append("no two measures go together beyond chance")
    return "; ".join(words) + "."


def _hints(asked: _Asked, units: int) -> tuple[str, ...]:
    if not units:
        return ("Ask about a longer period or with fewer filters; describe_data says what there is.",)
    orders = {
        "session": 'query_telemetry(query_type="benchmarks", order="-cost_usd")',
        "tool_call": 'query_telemetry(query_type="calls", order="-duration_ms")',
        "request": 'query_telemetry(query_type="aggregated", aggregation={"group_by": ["model"], "metrics": ["p95"]})',
        "hour": 'analyze_patterns(analysis_type="usage_patterns", time_window="7d")',
    }
    return (f"{orders[asked.name]} shows the rows behind this.",)


def _chosen(field_name: str, given: str, known: Mapping[str, Any]) -> str:
    if given not in known:
        raise unknown(field_name, str(given), known, field_name)
    return given


def _names(field_name: str, given: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names that were given, all without any. Raises Refusal for one that there is not."""
    listed = [given] if isinstance(given, str) else given
    if listed is not None and (
        not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed)
    ):
        raise invalid(field_name, f"{field_name} is a list of names.", known)
    if not listed:
        return tuple(known)
    found = tuple(dict.fromkeys(one if one in known else ALIASES.get(one, one) for one in listed))
    for one in found:
        if one not in known:
            raise unknown(field_name.removesuffix("s"), one, known, field_name)
    return found


def _step(time_range: Range, bucket: str | None) -> int:
    """Return the seconds of a bucket: those that were named, or the fewest that make a series of few points."""
    length = (time_range.end - time_range.start).total_seconds()
    if bucket is None:
        return next((step for step in BUCKETS.values() if length / step <= _POINTS), max(BUCKETS.values()))
    step = BUCKETS[_chosen("bucket", bucket, BUCKETS)]
    if length / step > _MOST_BUCKETS:
        raise invalid(
            "bucket",
            f"The period has more than {_MOST_BUCKETS:,} buckets of {bucket}.",
            [name for name, one in BUCKETS.items() if length / one <= _MOST_BUCKETS],
        )
    return step
