"""`get_statistics` against plain Python on the same rows, and its tests of significance against tables in print."""

import math
import random
import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access import budget
from access.answer import Answer, moment
from access.correlations import correlate
from access.inference import (
    Moments,
    Share,
    beta_share,
    correlation_p_value,
    false_discovery,
    mann_whitney,
    pearson,
    ranks,
    spearman,
    t_p_value,
    two_shares,
    welch,
    z_p_value,
)
from access.reading import Desk, Reading
from access.refusal import Code, Refusal
from access.statistics import SAMPLE, get_statistics
from access.store import Rows
from access.units import UNITS
from clickhouse.engine import Engine
from tests.engine_store import EngineStore
from tests.events import Record, Tables, event, logs, tables

UNTIL = datetime(2026, 10, 15, 12, tzinfo=UTC)
BEGIN = UNTIL - timedelta(days=2)
PERIOD = {"start_date": BEGIN.isoformat(), "end_date": UNTIL.isoformat()}
QUIET = range(20, 26)
"""Hours after the beginning in which nothing was sent."""


def _invented() -> list[dict[str, Any]]:
    """Return sessions' requests and calls: cost follows output, duration follows both, sizes follow nothing."""
    chance = random.Random(5)  # noqa: S311
    found = []
    for number in range(400):
        hour = chance.choice([hour for hour in range(48) if hour not in QUIET])
        written = round(chance.lognormvariate(6, 1))
        found.append(
            {
                "time": BEGIN.timestamp() + hour * 3600 + chance.randrange(3600),
                "session": f"s{number % 40}",
                "output": written,
                "cost": written * 75 / 1e6,
                "duration": written * 20 + chance.randrange(2000),
                "call": round(chance.lognormvariate(5, 1)),
                "size": chance.randrange(10_000) if number % 4 else None,
                "is_failed": number % 10 == 0,
            }
        )
    return found


ROWS = _invented()


def records(rows: Sequence[dict[str, Any]]) -> Iterator[Record]:
    for number, row in enumerate(rows):
        yield event(
            row["time"], "api_request", session__id=row["session"], model="claude-opus-4-8", input_tokens=7,
            output_tokens=row["output"], cost_usd=row["cost"], duration_ms=row["duration"], request_id=f"r{number}",
        )  # fmt: skip
        size = {} if row["size"] is None else {"tool_result_size_bytes": row["size"]}
        yield event(
            row["time"], "tool_result", session__id=row["session"], tool_name="Bash", success=not row["is_failed"],
            duration_ms=row["call"], tool_use_id=f"t{number}", **size,
        )  # fmt: skip


@pytest.fixture(scope="module")
def filled(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as made:
        made.store("otel_logs", logs(list(records(ROWS))))
        yield made


@pytest.fixture
def reading(filled: Tables) -> Reading:
    return reading_of(filled)


def reading_of(filled: Tables) -> Reading:
    store = EngineStore(filled.engine)
    return Desk(store, limiter=None, clock=lambda: UNTIL + timedelta(days=1)).reading("tester")


def ask(reading: Reading, unit: str, **arguments: Any) -> Answer:
    filters = {**PERIOD, **arguments.pop("filters", {})}
    return get_statistics(reading, unit, filters=filters, max_characters=45_000, **arguments)


def measures(answer: Answer) -> dict[str, dict[str, Any]]:
    """Return the summary's rows by measure."""
    return {row[0]: dict(zip(answer.columns, row, strict=True)) for row in answer.rows}


def occurred(values: Sequence[float], level: float) -> float:
    """Return a quantile that is one of the values, as in the reports."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(level * len(ordered)))]


def described(name: str, values: Sequence[float], missing: int) -> dict[str, Any]:
    """Return a summary as plain Python makes it."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    fences = low - 1.5 * (high - low), high + 1.5 * (high - low)
    mad = statistics.median(abs(value - median) for value in values)
    return {
        "measure": name,
        "n": len(values),
        "missing": missing,
        "mean": pytest.approx(statistics.fmean(values)),
        "median": pytest.approx(median),
        "std_dev": pytest.approx(statistics.stdev(values)),
        "min": pytest.approx(min(values)),
        "p50": pytest.approx(occurred(values, 0.5)),
        "p95": pytest.approx(occurred(values, 0.95)),
        "p99": pytest.approx(occurred(values, 0.99)),
        "max": pytest.approx(max(values)),
        "tukey_low": pytest.approx(fences[0]),
        "tukey_high": pytest.approx(fences[1]),
        "tukey_outliers": sum(not fences[0] <= value <= fences[1] for value in values),
        "mad": pytest.approx(mad),
        "mad_outliers": sum(abs(value - median) > 3.5 * 1.482602 * mad for value in values) if mad else None,
    }


def test_a_summary_is_that_of_plain_python(reading: Reading) -> None:
    """Mean, median, deviation, percentiles and outliers of each measure; values that were not sent are missing."""
    found = measures(ask(reading, "tool_call"))
    sizes = [row["size"] for row in ROWS if row["size"] is not None]
    expected = [
        described("duration_ms", [row["call"] for row in ROWS], 0),
        described("response_size", sizes, len(ROWS) - len(sizes)),
        described("error_count", [float(row["is_failed"]) for row in ROWS], 0),
    ]
    assert list(found.values()) == expected


def test_sessions_are_added_up(reading: Reading) -> None:
    """A session's cost is that of all its requests."""
    costs: dict[str, float] = {}
    for row in ROWS:
        costs[row["session"]] = costs.get(row["session"], 0) + row["cost"]
    found = measures(ask(reading, "session"))
    assert found["cost_usd"] == described("cost_usd", list(costs.values()), 0)
    assert (found["cache_read_tokens"]["n"], found["cache_read_tokens"]["mean"]) == (0, None)


def test_the_most_extreme_values_are_named(reading: Reading) -> None:
    """With the call, so that it can be looked at."""
    answer = ask(reading, "tool_call", measures=["duration"])
    longest = sorted(range(len(ROWS)), key=lambda number: -ROWS[number]["call"])[:3]
    table = answer.tables["extremes"]
    found = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(one["measure"], one["value"], one["tool_call"], one["time"]) for one in found] == [
        (
            "duration_ms",
            ROWS[number]["call"],
            f"t{number}",
            moment(datetime.fromtimestamp(ROWS[number]["time"], UTC)),
        )
        for number in longest
    ]


def test_the_rows_are_read_twice_however_much_is_asked(filled: Tables) -> None:
    """A unit is added up of its events for each statement over it."""
    reading = reading_of(filled)
    ask(reading, "session")
    assert isinstance(reading.store, EngineStore)
    assert sum("GROUP BY session_id" in sql for sql in reading.store.asked) == 2


def test_correlations_are_those_of_plain_python(reading: Reading) -> None:
    """Of all rows while they are few: Pearson's of the values, Spearman's of the ranks."""
    answer = ask(reading, "request", measures=["duration_ms", "cost_usd"])
    table = answer.tables["correlations"]
    (found,) = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    durations, costs = [row["duration"] for row in ROWS], [row["cost"] for row in ROWS]
    assert found["pearson"] == pytest.approx(statistics.correlation(durations, costs), rel=1e-6)
    assert found["spearman"] == pytest.approx(
        statistics.correlation(ranks(durations), ranks(costs)), rel=1e-6
    )
    assert found["significant"]
    assert "duration_ms and cost_usd go together most" in answer.finding
    assert answer.tables["pearson"].rows[0][1] == 1


def test_constants_and_missing_values_are_said(reading: Reading) -> None:
    """Nothing goes together with a constant: null, with the reason."""
    answer = ask(reading, "request")
    said = " ".join(answer.notes)
    assert "tokens_in = 7" in said
    assert "ttft_ms" in said
    assert "OTEL_TRACES_EXPORTER=otlp" in said
    matrix = {row[0]: row[1:] for row in answer.tables["spearman"].rows}
    place = UNITS["request"].measures.index("tokens_in")
    assert [value for at, value in enumerate(matrix["tokens_in"]) if at != place] == [None] * 6


def test_few_values_are_said(reading: Reading) -> None:
    """One session's calls are too few for a p99."""
    answer = ask(reading, "tool_call", filters={"session": "s1"})
    assert any("Few values: duration_ms (10)" in note for note in answer.notes)
    one = ask(reading, "session", filters={"session": "s1"})
    assert measures(one)["cost_usd"]["std_dev"] is None
    assert all(value in {None, 1} for row in one.tables["pearson"].rows for value in row[1:])


def test_a_series_has_every_bucket_and_nulls_where_nothing_is_known(reading: Reading) -> None:
    """Silence is not 0."""
    table = ask(reading, "request", measures=["cost_usd", "duration_ms"], bucket="1h").tables["series"]
    expected: dict[int, list[dict[str, Any]]] = {hour: [] for hour in range(48)}
    for row in ROWS:
        expected[int(row["time"] - BEGIN.timestamp()) // 3600].append(row)
    assert table.columns == ("time", "n", "sum_cost_usd", "mean_duration_ms")
    assert [tuple(row) for row in table.rows] == [
        (
            moment(BEGIN + timedelta(hours=hour)),
            len(rows) or None,
            pytest.approx(math.fsum(row["cost"] for row in rows)) if rows else None,
            pytest.approx(statistics.fmean(row["duration"] for row in rows)) if rows else None,
        )
        for hour, rows in expected.items()
    ]
    assert all(table.rows[hour][1:] == [None, None, None] for hour in QUIET)


def test_an_hour_without_records_is_no_row(reading: Reading) -> None:
    """It would be counted as an hour in which nothing was spent."""
    hours = {int(row["time"]) // 3600 for row in ROWS}
    assert measures(ask(reading, "hour"))["calls"]["n"] == len(hours)


def test_nothing_in_the_period_is_said(reading: Reading) -> None:
    """With what to do."""
    answer = ask(reading, "session", filters={"tool": "Nothing"})
    assert answer.finding == "No session in the period: there is nothing to describe."
    assert answer.hints
    assert measures(answer)["cost_usd"]["mean"] is None


def test_large_numbers_of_rows_are_sampled_for_correlations(engine: Engine) -> None:
    """The sample is the same each time, and said."""
    chance = random.Random(1)  # noqa: S311
    rows = [
        event(
            BEGIN.timestamp() + number, "tool_result", tool_name="Bash", success=True, tool_use_id=f"t{number}",
            duration_ms=(size := chance.randrange(1, 1000)) * 2, tool_result_size_bytes=size,
        )
        for number in range(SAMPLE + 500)
    ]  # fmt: skip
    with tables(engine) as made:
        made.store("otel_logs", logs(rows))
        answers = [ask(reading_of(made), "tool_call") for _ in range(2)]
    assert answers[0].tables == answers[1].tables
    table = answers[0].tables["correlations"]
    assert table.rows[0][:4] == ["duration_ms", "response_size", SAMPLE, 1]
    assert any("4,000 of 4,500 rows" in note for note in answers[0].notes)


def test_the_first_token_is_that_of_the_requests_span(engine: Engine) -> None:
    """Spans and events meet by the request's id; without one there is none, and what the event says comes first."""
    with tables(engine) as made:
        begin = BEGIN.timestamp()
        asked: list[dict[str, Any]] = [
            {"request_id": "r1"},
            {"request_id": "r2", "ttft_ms": 900},
            {"request_id": "r3"},
            {},
        ]
        made.store(
            "otel_logs", logs([event(begin + 60, "api_request", duration_ms=5, **one) for one in asked])
        )
        made.engine.command(
            "INSERT INTO telemetry_spans (timestamp, span_type, request_id, ttft_ms)"
            " SELECT toDateTime64({begin:Int64}, 9, 'UTC'), 'llm_request', one.1, one.2"
            " FROM (SELECT arrayJoin([('r1', 300.), ('r2', 400.), ('', 500.), ('r4', 600.)]) AS one)",
            {"begin": int(begin)},
        )
        found = measures(ask(reading_of(made), "request", measures=["ttft_ms"]))["ttft_ms"]
    assert (found["n"], found["missing"], found["min"], found["max"]) == (2, 2, 300, 900)


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_takes_every_filter_and_holds_its_budget(reading: Reading, unit: str) -> None:
    """No filter that is offered breaks the statement."""
    source = UNITS[unit].source
    for name in {*source.filters, *source.outer}:
        value = 1.0 if name.endswith("_duration") else "x"
        ask(reading, unit, filters={name: value})
    answer = get_statistics(reading, unit, filters=PERIOD, max_characters=budget.LEAST)
    assert budget.length(answer) <= budget.LEAST


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"unit": "sesion"}, "unit"),
        ({"measures": ["durration"]}, "measures"),
        ({"measures": 7}, "measures"),
        ({"parts": ["summary", "plot"]}, "parts"),
        ({"bucket": "2h"}, "bucket"),
        ({"bucket": "1m"}, "bucket"),
        ({"filters": {"tols": "Bash"}}, "filters.tols"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(reading: Reading, arguments: dict[str, Any], field: str) -> None:
    """With the argument's name and what it takes."""
    with pytest.raises(Refusal) as caught:
        ask(reading, **{"unit": "session", **arguments})
    assert caught.value.field == field
    assert caught.value.accepted or caught.value.code is Code.UNKNOWN_NAME


def test_extremes_of_both_sides_and_equal_ones_are_in_order(engine: Engine) -> None:
    """The furthest from the median first; of equally far ones the smaller value, then the call's id."""
    values = [500.0 + number % 7 for number in range(60)] + [0.0, 0.0, 1006.0, 1006.0, 1006.0, 2000.0]
    rows = [
        event(
            BEGIN.timestamp() + number, "tool_result", tool_name="Bash", success=True, tool_use_id=f"t{number:02}",
            duration_ms=value,
        )
        for number, value in enumerate(values)
    ]  # fmt: skip
    with tables(engine) as made:
        made.store("otel_logs", logs(rows))
        answer = ask(reading_of(made), "tool_call", measures=["duration_ms"], parts=["outliers"])
    median = statistics.median(values)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    outside = [
        (-abs(value - median), value, f"t{number:02}")
        for number, value in enumerate(values)
        if not low - 1.5 * (high - low) <= value <= high + 1.5 * (high - low)
    ]
    assert [tuple(row[:4]) for row in answer.tables["extremes"].rows] == [
        ("duration_ms", value, -below, unit) for below, value, unit in sorted(outside)[:3]
    ]
    assert measures(answer)["duration_ms"] == described("duration_ms", values, 0)


@pytest.mark.parametrize(
    ("t", "degrees", "p"),
    [
        (12.7062047362, 1, 0.05),
        (2.2281388520, 10, 0.05),
        (3.1692726726, 10, 0.01),
        (2.0422724563, 30, 0.05),
        (3.6459586350, 30, 0.001),
        (1.9839715185, 100, 0.05),
        (0.0, 5, 1.0),
    ],
)
def test_students_t_is_that_of_the_tables(t: float, degrees: float, p: float) -> None:
    """Critical values in print."""
    assert t_p_value(t, degrees) == pytest.approx(p, rel=1e-8)
    assert t_p_value(-t, degrees) == t_p_value(t, degrees)


def test_students_t_has_its_closed_forms() -> None:
    """With one degree of freedom it is Cauchy's, with two it is algebraic; far out it is small, not 0."""
    for t in (0.1, 0.7, 1.0, 5.0, 300.0):
        assert t_p_value(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), rel=1e-9, abs=1e-15)
        assert t_p_value(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-7)
    assert t_p_value(1.959963984540054, 1e9) == pytest.approx(0.05, rel=1e-6)
    assert 0 < t_p_value(50.0, 40) < 1e-30


def test_the_beta_function_is_the_binomials() -> None:
    """For whole numbers it is a sum of binomial probabilities (DLMF 8.17.5)."""
    for a, b, x in ((2, 3, 0.1), (5, 1, 0.7), (1, 9, 0.2), (20, 30, 0.45), (300, 200, 0.6)):
        n = a + b - 1
        expected = math.fsum(math.comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1))
        assert beta_share(a, b, x) == pytest.approx(expected, rel=1e-10)
    assert (beta_share(2, 3, 0.0), beta_share(2, 3, 1.0)) == (0.0, 1.0)


def test_correlations_of_published_data() -> None:
    """Anscombe's first set: 0.816, p 0.00217. Ranks share their mean for ties."""
    x = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]
    r = pearson(x, y)
    assert r == pytest.approx(0.81642051634, rel=1e-9)
    assert r is not None
    assert correlation_p_value(r, 11) == pytest.approx(0.00216962887, rel=1e-6)
    assert ranks([3, 1, 3, 2]) == [3.5, 1, 3.5, 2]
    assert spearman([1, 2, 3, 4], [1, 8, 27, 64]) == pytest.approx(1)
    assert pearson([1, 1, 1], [1, 2, 3]) is None
    assert pearson([1e308, -1e308, 1e308], [1, 0, 1]) == pytest.approx(1)
    assert correlation_p_value(1.0, 5) == 0


def test_comparisons_of_published_data() -> None:
    """Student's sleep data by Welch; Mann and Whitney's test as other programs have it."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    moments = [Moments(len(one), statistics.fmean(one), statistics.variance(one)) for one in (first, second)]
    assert welch(moments[0], moments[1]) == pytest.approx(0.07939414, rel=1e-6)
    assert welch(Moments(5, 1, 0), Moments(5, 2, 0)) is None
    assert mann_whitney([19, 22, 16, 29, 24], [20, 11, 17, 12]) == pytest.approx(0.11134688653, rel=1e-8)
    assert mann_whitney([1, 1], [1, 1]) is None
    assert z_p_value(1.959963984540054) == pytest.approx(0.05)


def test_shares_are_compared_by_their_clusters() -> None:
    """Failures that come in bursts are less certain than as many that are spread."""

    def share(*counts: tuple[int, int]) -> Share:
        return Share(
            len(counts),
            sum(failed for failed, _ in counts),
            sum(tried for _, tried in counts),
            sum(failed**2 for failed, _ in counts),
            sum(failed * tried for failed, tried in counts),
            sum(tried**2 for _, tried in counts),
        )

    before = share(*[(1, 20)] * 20)
    spread, burst = share(*[(3, 20)] * 20), share((19, 20), (20, 20), (20, 20), (1, 20), *[(0, 20)] * 16)
    p_spread, p_burst = two_shares(spread, before), two_shares(burst, before)
    assert p_spread is not None
    assert p_burst is not None
    # The pooled z-test: 60 and 20 of 400, z = 0.1 / sqrt(0.1 * 0.9 * 2 / 400).
    assert p_spread == pytest.approx(z_p_value(0.1 / math.sqrt(0.1 * 0.9 / 200)))
    assert p_spread < 1e-5
    assert p_burst > 0.05
    assert two_shares(share((0, 5)), share((0, 5))) is None


def test_the_false_discovery_rate_is_that_of_the_paper() -> None:
    """Benjamini and Hochberg 1995, section 4: four of fifteen at 0.05."""
    p_values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
        0.7590, 1.0,
    ]  # fmt: skip
    q_values = false_discovery(p_values)
    assert [q is not None and q <= 0.05 for q in q_values] == [True] * 4 + [False] * 11
    assert q_values[:2] == [pytest.approx(0.0015), pytest.approx(0.003)]
    assert false_discovery([None, 0.02, None]) == [None, 0.02, None]


def test_noise_has_no_significant_pairs() -> None:
    """Of 45 pairs of unrelated columns hardly one would pass, where without correction two would."""
    chance = random.Random(3)  # noqa: S311
    columns = {f"c{number}": [chance.gauss(0, 1) for _ in range(200)] for number in range(10)}
    assert not any(pair.is_significant for pair in correlate(columns))


class Narrow(EngineStore):
    """Has memory for the values of so many measures, and refuses more."""

    most = 1

    def rows(self, sql: str, *arguments: Any, **named: Any) -> Rows:
        if f"all{self.most}" in sql:
            raise Refusal(Code.RESULT_TOO_LARGE, "Memory limit exceeded")
        return EngineStore.rows(self, sql, *arguments, **named)


def test_what_is_too_much_together_is_asked_one_by_one(filled: Tables) -> None:
    """All parts come out the same. Where one measure alone is too much, the refusal is passed on."""
    store = Narrow(filled.engine)
    reading = Desk(store, limiter=None, clock=lambda: UNTIL).reading("tester")
    apart = get_statistics(reading, "request", filters=PERIOD)
    together = get_statistics(reading_of(filled), "request", filters=PERIOD)
    assert (apart.rows, apart.tables) == (together.rows, together.tables)
    assert sum("all0" in sql for sql in store.asked) == len(UNITS["request"].measures)
    store.most = 0
    with pytest.raises(Refusal, match="Memory"):
        get_statistics(reading, "request", filters=PERIOD, bucket="1h")
