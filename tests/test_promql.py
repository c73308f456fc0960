"""PromQL over the metrics' tables: the answers are Prometheus', and what is not translated is refused by name."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from clickhouse.engine import Engine
from connectors.contract import BackendError, Kind
from connectors.promql.evaluation import Evaluation
from tests.engine_store import EngineStore
from tests.events import tables
from tests.promql import samples
from tests.promql.answers import Answers, answers
from tests.promql.corpus import END, ERRORS, EXPRESSIONS, MOMENT, START, STEP

Points = dict[float, float]
Series = dict[tuple[tuple[str, str], ...], Points]
ORDERED = ("sort(", "sort_desc(", "topk(", "bottomk(")


@pytest.fixture(scope="module")
def expected() -> Answers:
    return answers()


@pytest.fixture(scope="module")
def evaluation(engine: Engine) -> Iterator[Evaluation]:
    with tables(engine):
        samples.store(engine)
        yield Evaluation(EngineStore(engine))


def of_prometheus(data: Mapping[str, Any]) -> Series:
    """Return the series of an answer's data."""
    if data["resultType"] == "scalar":
        return {(): _points([data["result"]])}
    return {
        tuple(sorted(one["metric"].items())): _points(one.get("values") or [one["value"]])
        for one in data["result"]
    }


def _points(points: Sequence[Sequence[Any]]) -> Points:
    return {float(at): float(value) for at, value in points}


def is_same(one: float, other: float) -> bool:
    return (
        one == other
        or (math.isnan(one) and math.isnan(other))
        or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    )


def assert_same(found: Series, wanted: Series) -> None:
    assert found.keys() == wanted.keys()
    for labels, points in wanted.items():
        assert found[labels].keys() == points.keys(), labels
        differing = {
            at: (found[labels][at], value)
            for at, value in points.items()
            if not is_same(found[labels][at], value)
        }
        assert differing == {}, labels


def of_evaluation(series: Sequence[Any]) -> Series:
    return {
        tuple(sorted(one.labels.items())): {ms / 1000: value for ms, value in one.points} for one in series
    }


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_range_query_has_prometheus_answer(
    evaluation: Evaluation, expected: Answers, expression: str
) -> None:
    """Series, labels, steps and values are the same."""
    found = evaluation.over(expression, START * 1000, END * 1000, STEP * 1000, 1_000)
    assert_same(of_evaluation(found.series), of_prometheus(expected[expression]["range"]["data"]))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_instant_query_has_prometheus_answer(
    evaluation: Evaluation, expected: Answers, expression: str
) -> None:
    """At one moment too; what Prometheus sorts by value is in its order."""
    found = evaluation.instant(expression, MOMENT * 1000, 1_000)
    data = expected[expression]["instant"]["data"]
    assert_same(of_evaluation(found.series), of_prometheus(data))
    if expression.startswith(ORDERED) and " by " not in expression:
        assert [dict(one.labels) for one in found.series] == [one["metric"] for one in data["result"]]


@pytest.mark.parametrize("expression", ERRORS)
def test_what_fails_in_prometheus_fails_here(
    evaluation: Evaluation, expected: Answers, expression: str
) -> None:
    """Series that cannot be matched, or told apart, are an error and no answer."""
    assert expected[expression]["range"]["status"] == "error"
    with pytest.raises(BackendError) as error:
        evaluation.over(expression, START * 1000, END * 1000, STEP * 1000, 1_000)
    assert error.value.kind is Kind.BAD_QUERY


def test_a_statement_holds_no_text_of_the_expression(evaluation: Evaluation) -> None:
    """Names, labels, patterns and numbers are bound, whatever is in them."""
    text = "x') UNION ALL SELECT /* name */ {start:Int64} -- \\ "
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    query = (
        f'label_replace(sum by (job) ({{__name__="{quoted}"}} or queue_size{{a!="{quoted}"}}), "b", "{quoted}", "job",'
        f' "(.*)") + 1234.5678'
    )
    found = evaluation.instant(query, MOMENT * 1000, 10)
    assert [one.labels["b"] for one in found.series] == [text]
    for part in ("UNION ALL SELECT /*", "1234.5678", "queue", "{start:Int64} --"):
        assert part not in found.sql


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("absent_over_time(queue_size[5m])", "function absent_over_time"),
        ("scalar(queue_size)", "function scalar"),
        ("day_of_week()", "function day_of_week"),
        ('count_values("x", queue_size)', "aggregation count_values"),
        ("rate(queue_size[5m:1m])", "subqueries"),
        ("max_over_time(rate(http_requests_total[5m])[30m:1m])", "subqueries"),
        ("queue_size @ 1767268800", "@ modifier"),
        ("queue_size atan2 queue_size", "operator atan2"),
        ('"text"', "expressions that are a text"),
        ('label_replace(queue_size, "a", "${name}", "job", "(?P<name>.*)")', "label_replace"),
    ],
)
def test_what_is_not_translated_is_refused_by_its_name(
    evaluation: Evaluation, expression: str, name: str
) -> None:
    """The refusal says which part of the expression it is."""
    with pytest.raises(BackendError) as error:
        evaluation.instant(expression, MOMENT * 1000, 10)
    assert (error.value.kind, name in error.value.message) == (Kind.UNSUPPORTED, True)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("sum(queue_size", "unclosed left parenthesis"),
        ("rate(queue_size)", "expected type matrix"),
        ("foo(queue_size)", "unknown function"),
        ("queue_size > 1 +", ""),
        ('queue_size{a=~"("}', ""),
        ("abs(" * 200 + "queue_size" + ")" * 200, "deep"),
        ("1 +" * 2_000 + "1", "operators"),
        ("1" + " " * 20_000, "characters"),
        ("-" * 900 + "queue_size", "deep"),
        ("", ""),
        ("sum by (job) (queue_size[5m])", ""),
        ("queue_size[5m] + 1", ""),
    ],
)
def test_what_is_no_expression_is_a_bad_query(evaluation: Evaluation, expression: str, words: str) -> None:
    """The grammar's own words say why."""
    with pytest.raises(BackendError) as error:
        evaluation.instant(expression, MOMENT * 1000, 10)
    assert error.value.kind is Kind.BAD_QUERY
    assert words in f"{error.value.message} {error.value.detail}"


@pytest.mark.parametrize(
    "name", ["http_requests_total", "http_requests", "http.requests", "claude_code.token.usage"]
)
def test_a_metric_is_found_by_each_of_its_names(evaluation: Evaluation, name: str) -> None:
    """By that of Prometheus, by that without suffixes, and by its own with dots."""
    whole = {"claude_code.token.usage": "claude_code_token_usage_tokens_total"}.get(
        name, "http_requests_total"
    )
    moment = (samples.BASE + 80 * samples.EVERY) * 1000
    found = evaluation.instant(f'sum({{__name__="{name}"}})', moment, 10)
    assert found.series == evaluation.instant(f"sum({whole})", moment, 10).series
    assert len(found.series) == 1


def test_a_range_of_samples_is_answered_at_a_moment(evaluation: Evaluation) -> None:
    """The samples themselves, without those that say that a series ended."""
    found = evaluation.instant("jobs_done_total[3m]", (samples.BASE + 81 * samples.EVERY) * 1000, 10)
    (series,) = samples.SERIES[4:5]
    wanted = [(point.ms, point.value) for point in series.points[75:80]]
    assert [one.points for one in found.series] == [wanted]


@pytest.mark.parametrize(
    ("start", "end", "step", "words"),
    [(10, 5, 1, "before the start"), (0, 10, 0, "more than 0"), (0, 10**8, 1, "11,000 points")],
)
def test_impossible_steps_are_refused(
    evaluation: Evaluation, start: int, end: int, step: int, words: str
) -> None:
    """As Prometheus refuses them."""
    with pytest.raises(BackendError, match=words):
        evaluation.over("1", start, end, step, 10)


def test_no_more_series_than_asked_for(evaluation: Evaluation) -> None:
    """The rest is not read, and the answer says that there is more."""
    found = evaluation.instant('{job!=""}', MOMENT * 1000, 3)
    assert (len(found.series), found.has_more) == (3, True)


def test_what_there_is_to_ask_for(evaluation: Evaluation) -> None:
    """Series, labels, their values, and the metrics with type and unit."""
    start, end = samples.BASE * 1000, (samples.BASE + 6_000) * 1000
    series, has_more = evaluation.series(["queue_size", "cpu_limit_ratio"], start, end, 10)
    assert (series, has_more) == (
        [
            {"__name__": "cpu_limit_ratio", **samples._HOST_LABELS},
            {"__name__": "queue_size", **samples._OTHER_LABELS},
        ],
        False,
    )
    assert evaluation.label_names(["queue_size"], start, end) == sorted(["__name__", *samples._OTHER_LABELS])
    assert evaluation.label_values("job", [], start, end) == ["money/pay", "shop"]
    assert "http_duration_seconds_bucket" in evaluation.label_values("__name__", [], start, end)
    known = {one.name: (one.metric, one.type, one.unit) for one in evaluation.metrics(start, end)}
    assert known["http_requests_total"] == ("http.requests", "counter", "{request}")
    assert known["queue_size"] == ("queue.size", "gauge", "")
    assert known["http_duration_seconds"] == ("http.duration", "histogram", "s")
    assert known["rpc_latency_milliseconds"] == ("rpc.latency", "summary", "ms")
