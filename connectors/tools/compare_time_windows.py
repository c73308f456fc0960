"""`compare_time_windows`: a query's series in one period against another, with how certain the changes are."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from access import budget
from access.answer import Answer, Range, moment
from access.refusal import invalid
from connectors.analysis.windows import Comparison, Found, compare
from connectors.contract import Signal
from connectors.tools.asker import Asker, Period, characters, named_values, text_of
from connectors.tools.names import METRIC_FILTERS
from connectors.tools.query_metrics import name_of, series_of, understood

TOOL: Final = "compare_time_windows"
SERIES: Final = 500
COLUMNS: Final = (
    "metric", "found", "before_mean", "now_mean", "change", "change_percent", "before_p95", "now_p95", "q_value",
    "significant", "test",
)  # fmt: skip
_HOW: Final = (
    "change is the difference of the means; q_value is corrected for the number of series, and null where there are too"
    " few independent values."
)
_OFFSETS: Final[Mapping[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
}


async def compare_time_windows(
    asker: Asker,
    query: str,
    *,
    time_range: Any = None,
    baseline: Any = None,
    filters: Any = None,
    connection: str | None = None,
    zone: str = "UTC",
    max_characters: int | None = None,
) -> Answer:
    """Return what changed from the baseline to the period. Raises Refusal.

    `baseline` is a period, or how long before: 1h, 1d, 7d. Default: the same length just before.
    """
    size = characters(max_characters)
    labels = {
        name: text_of(value, f"filters.{name}")
        for name, value in named_values(filters, METRIC_FILTERS, "filters").items()
    }
    now = asker.period(time_range, zone)
    before = _before(asker, now, baseline, zone)
    if before.range.start < now.range.end and now.range.start < before.range.end:
        raise invalid("baseline", "The two periods overlap: end the baseline where the time_range begins.")
    chosen = await asker.choose(Signal.METRICS, connection)
    made = await understood(asker, chosen, query, labels, now)
    step = max(now.step, before.step)
    later = await series_of(asker, chosen, made.text, now, step, series=SERIES, tool=TOOL)
    earlier = await series_of(asker, chosen, made.text, before, step, series=SERIES, tool=TOOL)
    found = compare(earlier.result.series, later.result.series)
    certain = [one for one in found if one.significant]
    hints = []
    if not found:
        hints.append(
            "The query is valid and selects no series in either period: discover lists metrics and labels."
        )
    if later.result.about.has_more or earlier.result.about.has_more:
        hints.append(f"Only the first {SERIES} series of each period were compared: aggregate them.")
    answer = Answer(
        COLUMNS,
        [_row(one) for one in found],
        finding=_finding(found, certain),
        time_range=now.range,
        query_executed=later.result.about.query_executed or made.text,
        parameters={
            "baseline_start": moment(before.range.start),
            "baseline_end": moment(before.range.end),
            "step_seconds": f"{step:g}",
            "connection": chosen.name,
        },
        hints=tuple(hints),
        notes=(*made.notes, _HOW),
    )
    return budget.fit(answer, size)


def _before(asker: Asker, now: Period, baseline: Any, zone: str) -> Period:
    begin, end = now.range.start, now.range.end
    if baseline is None:
        return Period(Range(begin - (end - begin), begin, now.range.zone), goes_on=False)
    if isinstance(baseline, str) and baseline in _OFFSETS:
        offset = _OFFSETS[baseline]
        return Period(Range(begin - offset, end - offset, now.range.zone), goes_on=False)
    if isinstance(baseline, Mapping) and {"start", "end"} <= set(baseline):
        return asker.period(baseline, zone)
    raise invalid(
        "baseline",
        "baseline is a period with start and end, or how long before.",
        (*_OFFSETS, '{"start": …, "end": …}'),
    )


def _row(one: Comparison) -> tuple[Any, ...]:
    before, now = one.before, one.now
    return (
        name_of(one.labels), one.found.value, before.mean if before else None, now.mean if now else None, one.change,
        one.change_percent, before.p95 if before else None, now.p95 if now else None, one.q_value, one.significant,
        one.test,
    )  # fmt: skip


def _finding(found: list[Comparison], certain: list[Comparison]) -> str:
    if not found:
        return "There are no series to compare."
    if certain:
        first = certain[0]
        percent = f" by {first.change_percent:+.0f} %" if first.change_percent is not None else ""
        name = name_of(first.labels)
        return f"{len(certain)} of {len(found)} series changed for certain; the first is {name}{percent}."
    once = sum(1 for one in found if one.found is not Found.BOTH)
    return f"None of {len(found)} series changed more than chance explains" + (
        f"; {once} are in one of the periods alone." if once else "."
    )
