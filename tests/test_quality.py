"""Data quality on events made by hand, compared with plain Python; and the file of validation rules."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from access.answer import Freshness, Range
from access.quality import BUNDLED, Broken, Quality, Rule, RulesError, quality, read_rules
from clickhouse.engine import Engine
from tests.engine_store import EngineStore
from tests.events import Record, Tables, event, logs, tables

NOON = datetime(2026, 10, 15, 12, tzinfo=UTC)
DAY = Range(datetime(2026, 10, 15, tzinfo=UTC), datetime(2026, 10, 16, tzinfo=UTC))
AT = NOON.timestamp()
DURATION, TOKENS, SIZE = read_rules()


@pytest.fixture(scope="module")
def made(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as made:
        yield made


@pytest.fixture
def filled(made: Tables) -> Tables:
    made.clear()
    return made


def call(second: int, **more: object) -> Record:
    usual = {"tool_name": "Read", "success": "true", "duration_ms": 100, "tool_result_size_bytes": 10}
    return event(AT + second, "tool_result", **{**usual, **more})


def request(second: int, **more: object) -> Record:
    usual = {"model": "m", "cost_usd": 0.5, "duration_ms": 1000, "input_tokens": 3, "output_tokens": 4}
    return event(AT + second, "api_request", **{**usual, **more})


def test_every_measure_is_what_plain_python_makes_of_the_events(filled: Tables) -> None:
    """Missing, impossible, implausible and far-off values are each counted by name, and nothing is dropped."""
    calls = [call(second, duration_ms=100 + second) for second in range(20)]
    odd = [
        call(30, duration_ms=300_001),
        call(31, duration_ms=-5),
        call(32, tool_result_size_bytes=10_485_761),
        call(33, tool_name="", duration_ms=105),
        request(34, input_tokens=999_999, output_tokens=2),
        request(35, cost_usd="", model=""),
        request(36, input_tokens="many"),
        event(AT + 37, "user_prompt", session__id="", prompt_length=4),
    ]
    filled.store("otel_logs", logs([*calls, *odd]))
    found = quality(EngineStore(filled.engine), DAY, now=datetime(2026, 10, 15, 13, tzinfo=UTC))

    expected_points = 24 * 4 + 3 * 6 + 1
    missing = {
        "api_request.cost_usd": 1,
        "api_request.input_tokens": 1,
        "api_request.model": 1,
        "tool_result.duration_ms": 1,
        "tool_result.tool_name": 1,
        "user_prompt.session_id": 1,
    }
    # The durations of calls: 100 to 119, 300001, 100, 105; of requests 1000 each.
    durations = sorted([*range(100, 120), 300_001, 100, 105])
    lower, upper = durations[int(0.25 * 23)], durations[int(0.75 * 23)]
    outliers = [
        one for one in durations if not lower - 1.5 * (upper - lower) <= one <= upper + 1.5 * (upper - lower)
    ]
    assert outliers == [300_001]
    assert replace(found, query="") == Quality(
        time_range=DAY,
        sample_size=28,
        completeness=23 / 28,
        missing_share=6 / expected_points,
        missing=missing,
        schema_compliance=26 / 28,
        impossible={"negative_duration_ms": 1, "unreadable_input_tokens": 1},
        outlier_share=1 / 26,
        freshness=Freshness(datetime(2026, 10, 15, 12, 0, 37, tzinfo=UTC), 3600 - 37),
        rules=(Broken(DURATION, 27, 1, 1), Broken(TOKENS, 3, 0, 1), Broken(SIZE, 24, 0, 1)),
        broken=4,
    )
    assert filled.rows("SELECT count() FROM telemetry_events") == [[28]]


def test_without_events_nothing_is_judged(filled: Tables) -> None:
    """Unknown is None, never 0."""
    found = quality(EngineStore(filled.engine), DAY, ())
    assert replace(found, query="") == Quality(
        DAY, 0, None, None, {}, None, {}, None, Freshness(None, None), (), 0
    )
    answer = found.as_answer().as_dict()
    assert answer["finding"] == "There are no events in this period."
    assert answer["rows"] == [
        ["sample_size", 0],
        ["completeness", None],
        ["missing_share", None],
        ["schema_compliance", None],
        ["outlier_share", None],
        ["age_seconds", None],
        ["records_that_break_a_rule", 0],
    ]


def test_the_document_has_the_names_of_the_access_layer(filled: Tables) -> None:
    """Completeness, sample size, missing points, percentages, freshness and compliance, under those names."""
    filled.store("otel_logs", logs([call(0), call(1, success="")]))
    document = quality(EngineStore(filled.engine), DAY, (), now=NOON).as_document()
    assert document == {
        "completeness": 1.0,
        "sampleSize": 2,
        "missingDataPoints": ["tool_result.success"],
        "missingDataPointCounts": {"tool_result.success": 1},
        "missingDataPercentage": 12.5,
        "outlierPercentage": 0.0,
        "dataFreshness": {"newest": "2026-10-15T12:00:01Z", "age_seconds": 0},
        "schemaCompliance": 1.0,
        "impossibleValues": {},
        "validationRules": [],
        "recordsThatBreakARule": 0,
    }


def test_bundled_rules_are_those_of_the_access_layer() -> None:
    """Five minutes, a million tokens, 10 MiB."""
    assert read_rules() == (
        Rule(field="duration", min=0, max=300_000),
        Rule(field="tokens", min=0, max=1_000_000),
        Rule(field="response_size", min=0, max=10 << 20),
    )
    assert read_rules(BUNDLED) == read_rules()


def test_all_faults_of_a_wrong_file_are_listed(tmp_path: Path) -> None:
    """One correction is enough: no fault waits for another."""
    path = tmp_path / "rules.yaml"
    path.write_text(
        "rules:\n- {field: duration, min: 5, max: 1}\n- {field: weight, min: 0}\n- {field: tokens}\n"
        "- {field: cost, max: much}\n- {field: attempt, max: 3, mx: 4}\n- {field: cost, max: 1}\n"
        "- {field: cost, max: .nan}\n- {field: cost, max: 2}\nmore: 1\n"
    )
    with pytest.raises(RulesError) as caught:
        read_rules(path)
    text = str(caught.value)
    for fault in (
        "`more` is not a key",
        "entry 1, all of it: has a min over its max",
        "entry 2, field: must be 'duration'",
        "entry 3, all of it: has neither min nor max",
        "entry 4, max: must be a number",
        "entry 5, mx: is not known here",
        "entry 7, max: must be a finite number",
        "entry 8, field: has a rule already",
        "TELEMETRY_VALIDATION_RULES",
    ):
        assert fault in text


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "cannot be read"),
        (b"rules: [", "is not YAML"),
        (b"\xff\xfe\xff", "is not YAML"),
        (b"- 1", "no list"),
    ],
)
def test_a_file_without_rules_is_named(tmp_path: Path, content: bytes | None, fault: str) -> None:
    """What is no file of rules is said to be none."""
    path = tmp_path / "rules.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RulesError, match=fault):
        read_rules(path)
