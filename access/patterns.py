"""`analyze_patterns`: notable changes of a period against the one before, the finding first.

Nothing is called notable that chance alone explains, or that is too small to matter; "nothing notable" is an answer.
One that has no data says why. Each names the next call to make. The comparisons are those of `changes`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from access import budget
from access.answer import Answer, Range, json, moment
from access.beside import beside
from access.changes import (
    CALLS,
    COLUMNS,
    EXPECTED,
    STRETCHES,
    TOTAL,
    Change,
    durations,
    failures,
    judged,
    mix,
    untested,
    used,
)
from access.insight.find import find
from access.reading import Reading, bounds, statement
from access.refusal import unknown
from access.store import Rows
from access.text import visible
from access.times import whole_hours

WINDOWS: Final[Mapping[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_STRETCHES: Final = 12
"""The parts of a period into which a session's work is cut, for a session may last longer than the period."""
_COVERED: Final = 0.9
"""Of the period before, events must reach back so far for its totals to be compared."""
_SESSIONS: Final = 2_000
_NAME: Final = 80
_CERTAIN: Final = 1e-15
"""Below this a q-value says no more about the world, where the assumptions of its test hold only roughly."""
FINDINGS: Final = "findings"
_FOUND: Final = (
    "cause", "who", "since", "until", "times", "now", "before", "usd", "minutes", "reason", "advice", "sessions",
    "says",
)  # fmt: skip
_MEASURES: Final = ("sessions", "requests", "calls", "tokens", "cost_usd")


@dataclass(frozen=True, slots=True)
class _Analysis:
    """One type: how its changes are found, its method in words, a finding's sentence, and the next call."""

    changes: Callable[[Reading, Mapping[str, str]], list[Change]]
    statement: str
    method: str
    sentence: Callable[[Change], str]
    quiet: str
    next_call: Callable[[Change, Range], str]
    otherwise: str


def analyze_patterns(
    reading: Reading, analysis_type: str, time_window: str = "24h", *, max_characters: int | None = None
) -> Answer:
    """Return the changes of the last 1h, 24h, 7d or 30d against as long before. Raises Refusal.

    `analysis_type` is findings, performance_trends, error_patterns or usage_patterns. `findings` are those of
    `telemetry findings` and of the report, against the usual of the four weeks before.
    """
    characters = budget.size(max_characters)
    if analysis_type not in TYPES:
        raise unknown("analysis_type", str(analysis_type), TYPES, "analysis_type")
    if time_window not in WINDOWS:
        raise unknown("time_window", str(time_window), WINDOWS, "time_window")
    reading.admit()
    end = reading.desk.clock()
    period = Range(end - WINDOWS[time_window], end)
    if analysis_type == FINDINGS:
        period = Range(*whole_hours(period.start, period.end), period.zone)
    kept, (freshness, completeness) = reading.keep_and_look(
        reading.desk.aggregations,
        ("analyze_patterns", analysis_type, time_window),
        (period, True),
        lambda: (
            _findings(reading, period, time_window)
            if analysis_type == FINDINGS
            else _made(reading, ANALYSES[analysis_type], period, time_window)
        ),
        reading.freshness_and_completeness,
        lambda answer: answer.time_range,
    )
    answer = replace(
        kept.value,
        freshness=freshness,
        completeness=completeness,
        cached_age_seconds=None if kept.age_seconds is None else int(kept.age_seconds),
    )
    return budget.fit(answer, characters)


def _made(reading: Reading, analysis: _Analysis, period: Range, window: str) -> Answer:
    length = period.end - period.start
    values = bounds(Range(period.start - length, period.end)) | {
        "begins": bounds(period)["from"],
        "stretch": str(int(length.total_seconds()) // _STRETCHES),
    }
    answer = Answer(
        COLUMNS, time_range=period, query_executed=analysis.statement, parameters=values
    )  # fmt: skip
    counts = {key: values[key] for key in ("from", "to", "begins")}
    # Of a period without events there is little to read, so both are asked at once.
    windows = beside(lambda: reading.store.rows(statement("window_events"), counts, is_beside=True).rows[0])
    found = analysis.changes(reading, values)
    now, before, first, older = windows()
    if not now:
        finding, hint = _empty(reading, window, values)
        return replace(answer, finding=finding, hints=(f"Next: {hint}",))
    # A client that was set up in the middle of the period before would seem to be used more since.
    is_whole = bool(older) or first <= period.start - length * _COVERED
    changes = judged(found if is_whole else [untested(one) if one.what == TOTAL else one for one in found])
    notable = [change for change in changes if change.is_notable]
    tested = sum(change.p is not None for change in changes)
    few = len(changes) - tested
    floors = (
        f"A group is compared when it has {CALLS} records and {STRETCHES} stretches of work or sessions in each period,"
        f" and a share when it would be {EXPECTED} records in each. {few} of {len(changes)} rows have too little."
    )
    notes: tuple[str, ...] = (
        f"{analysis.method} q is Benjamini and Hochberg's over {tested} comparisons, notable up to 0.05.",
        floors,
        "The period before is as long. Changes by the day of the week or by project are not told apart.",
    )
    if before and not is_whole:
        notes = (
            f"The first event is of {moment(first)}: totals of less than a period are not compared.",
            *notes,
        )
    if not before:
        finding = (
            f"Nothing to compare with: the {window} before have no events. The rows are of the last {window}."
        )
    elif notable:
        more = len(notable) - 1
        others = f" {more} more {'change is' if more == 1 else 'changes are'} notable." if more else ""
        finding = (
            f"{analysis.sentence(notable[0])} q {_certainty(notable[0].q)} over {tested} comparisons.{others}"
        )
    elif tested:
        finding = (
            f"Nothing notable: {analysis.quiet} in the last {window} as in the {window} before, beyond what chance"
            f" explains ({tested} comparisons)."
        )
    else:
        finding = f"Too little to compare: no group has enough records in the last {window} and the {window} before."
    hint = (
        analysis.next_call(notable[0], period)
        if notable
        else analysis.otherwise.format(window=_longer(window))
    )
    return replace(
        answer,
        rows=[change.row() for change in changes],
        finding=finding,
        hints=(f"Next: {hint}",),
        notes=notes,
    )


def _findings(reading: Reading, period: Range, window: str) -> Answer:
    """Return what changed for the worse, the dearest first, as the report has it."""
    insight = find(reading.store, period.start, period.end)
    rows = [
        (
            one.title,
            one.who,
            moment(one.since),
            None if one.until is None else moment(one.until),
            one.times,
            one.now,
            one.before,
            round(one.usd, 4),
            round(one.minutes, 1),
            one.reason,
            one.advice,
            list(one.sessions),
            [text for text, _ in one.shapes],
        )
        for one in insight.findings
    ]
    values = bounds(period)
    answer = Answer(
        _FOUND, rows, time_range=period, query_executed=statement("insight_series"), parameters=values
    )
    if not rows:
        words = f"Nothing changed for the worse in the last {window}, beyond what chance explains."
        hint = f'analyze_patterns(analysis_type="findings", time_window="{_longer(window)}")'
    else:
        first = insight.findings[0]
        words = f"{_quoted(first.title)}, {_quoted(first.who)}: {first.reason} {len(rows)} findings."
        hint = f'ask_question(name="{first.command.partition(" ")[0]}")'
        if first.sessions:
            hint = f'ask_question(name="session", parameters={{"session": {_quoted(first.sessions[0])}}})'
    method = "Each measure is compared with its own usual in four weeks before; a minute counts as a dollar."
    often = "; ".join(
        f"{_quoted(one.title)} {one.times:,.0f} times ({one.reason[:-1]})" for one in insight.always
    )
    notes = (method, *insight.notes, *([f"Always there: {often}."] if often else []))
    return replace(answer, finding=words, hints=(f"Next: {hint}",), notes=notes)


def _empty(reading: Reading, window: str, values: Mapping[str, str]) -> tuple[str, str]:
    """Return the finding and the next step for a period without events: there are none at all, or only older ones."""
    newest = reading.freshness().newest
    if newest is None:
        return (
            "The store has no events at all: nothing has been received, or all of it has expired.",
            "run `telemetry doctor`, which looks at the whole way from Claude Code to the tables.",
        )
    period = {"from": values["from"], "to": values["begins"]}
    ((before,),) = reading.store.rows(statement("events_of"), period).rows
    was = f" The {window} before have {before:,}." if before else ""
    return (
        f"No events in the last {window}: the newest is of {moment(newest)}.{was}",
        "analyze_patterns with a longer time_window, or `telemetry doctor` if there should be newer events.",
    )


def _durations(reading: Reading, values: Mapping[str, str]) -> list[Change]:
    return durations(reading.store.rows(statement("trend_durations"), values))


def _failures(reading: Reading, values: Mapping[str, str]) -> list[Change]:
    return failures(reading.store.rows(statement("failure_shares"), values))


def _usage(reading: Reading, values: Mapping[str, str]) -> list[Change]:
    """Return the changes of totals and of sessions, which are added up of their events once, and those of shares."""
    bound = {name: value for name, value in values.items() if name != "stretch"}
    sums = [
        part
        for name in _MEASURES
        for part in (f"sum(used.{name}) AS {name}", f"sum(used.{name} * used.{name}) AS {name}_squared")
    ]
    session = (
        f"(cityHash64(used.session_id), used.session_id, {', '.join(f'used.{name}' for name in _MEASURES)})"
    )
    found = reading.store.rows(
        f"SELECT is_now, {', '.join(sums)}, groupArraySorted({_SESSIONS})({session}) AS sample\n"
        f"FROM (\n{statement('usage_sessions')}\n) AS used\nGROUP BY is_now",
        bound,
    ).dicts()
    sample = [(row["is_now"], *one[2:]) for row in found for one in row["sample"]]
    summed = Rows(tuple(found[0]) if found else (), (), [tuple(row.values()) for row in found])
    sampled = Rows(("is_now", *_MEASURES), (), sample)
    return [*used(summed, sampled), *mix(reading.store.rows(statement("usage_shares"), values))]


def _slower(change: Change) -> str:
    times = f"{change.ratio:.3g} times as long as" if change.ratio else "as long as"
    return (
        f"{_quoted(change.name)} took {times} before: median {change.now:.4g} ms after {change.before:.4g} ms"
        f" (n = {change.n_now:,} and {change.n_before:,}, in {change.clusters_now:,} and {change.clusters_before:,}"
        " stretches of work; Welch's t-test);"
    )


def _fails(change: Change) -> str:
    return (
        f"Failures {_quoted(change.name)} were {_percent(change.now)} of {_quoted(change.of)}, after"
        f" {_percent(change.before)} (n = {change.n_now:,} and {change.n_before:,}; two-proportion z-test);"
    )


def _uses(change: Change) -> str:
    if change.what == "share":
        return (
            f"{_quoted(change.name)} had {_percent(change.now)} of the {change.of}, after {_percent(change.before)}"
            f" (n = {change.n_now:,} and {change.n_before:,}; two-proportion z-test);"
        )
    test = "compound Poisson z-test" if change.what == TOTAL else "Mann-Whitney test"
    return (
        f"{change.name}, {change.what}: {change.now or 0:,.6g} after {change.before or 0:,.6g}"
        f" (n = {change.n_now:,} and {change.n_before:,} sessions; {test});"
    )


def _calls(change: Change, period: Range) -> str:
    if change.what.startswith("model"):
        return (
            f'query_telemetry(query_type="aggregated", filters={{"model": {_quoted(change.name)}, {_dates(period)}}},'
            ' aggregation={"group_by": ["hour"], "metrics": ["p50", "p95"]})'
        )
    tool = change.name.rpartition("/")[2]
    return (
        f'query_telemetry(query_type="calls", filters={{"tool": {_quoted(tool)}, {_dates(period)}}},'
        ' order="-duration_ms")'
    )


def _samples(change: Change, period: Range) -> str:
    return (
        f'ask_question(name="error_samples", parameters={{"category": {_quoted(change.name)},'
        f' "from": "{moment(period.start)}", "to": "{moment(period.end)}"}})'
    )


def _sessions(change: Change, period: Range) -> str:
    if change.what == "share":
        group = "tool" if change.of == "tool calls" else "model"
        return (
            f'query_telemetry(query_type="aggregated", filters={{{_dates(period)}}},'
            f' aggregation={{"group_by": ["{group}"], "metrics": ["sum"]}})'
        )
    return f'query_telemetry(query_type="benchmarks", filters={{{_dates(period)}}}, order="-cost_usd")'


def _dates(period: Range) -> str:
    return f'"start_date": "{moment(period.start)}", "end_date": "{moment(period.end)}"'


def _quoted(name: str) -> str:
    """Return a recorded name as JSON text: it cannot be taken for the program's own words."""
    return json(visible(name, _NAME))


def _certainty(q: float | None) -> str:
    return "< 1e-15" if q is not None and q < _CERTAIN else f"= {q:.2g}"


def _percent(share: float | None) -> str:
    return f"{100 * (share or 0):.3g} %"


def _longer(window: str) -> str:
    names: Sequence[str] = list(WINDOWS)
    return names[min(len(names) - 1, names.index(window) + 1)]


ANALYSES: Final[Mapping[str, _Analysis]] = {
    "performance_trends": _Analysis(
        _durations,
        statement("trend_durations"),
        "Welch's t-test compares the means of log durations of stretches of a session's work; ratio is that of the"
        " geometric means, now and before are medians of all calls in ms.",
        _slower,
        "tools and models took as long",
        _calls,
        'analyze_patterns(analysis_type="error_patterns", time_window="{window}")',
    ),
    "error_patterns": _Analysis(
        _failures,
        statement("failure_shares"),
        "A two-proportion z-test compares the shares of attempts that failed, with the larger of the binomial variance"
        " and that over stretches of a session's work; n is of attempts.",
        _fails,
        "attempts failed as often",
        _samples,
        'analyze_patterns(analysis_type="performance_trends", time_window="{window}")',
    ),
    "usage_patterns": _Analysis(
        _usage,
        statement("usage_sessions"),
        "Totals are compared by a z-test in which sessions come by chance (compound Poisson); what a session used, by"
        " Mann and Whitney's test; shares of tools and models, by a two-proportion z-test over stretches of work.",
        _uses,
        "as much was used",
        _sessions,
        'get_statistics(unit="session")',
    ),
}
"""By the name of the type."""
TYPES: Final = (FINDINGS, *ANALYSES)
"""All that can be asked for."""
