"""Every question on generated data: whole results, compared with what plain Python makes of the same requests."""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access.insight.series import ALL
from access.insight.usual import usual
from access.questions import find, questions
from access.times import whole_hours
from clickhouse.engine import Engine
from demo.generate import Ledger, Plan, generate
from tests import answers, oracle
from tests.answers.counting import DIMENSIONS
from tests.engine_store import EngineStore
from tests.events import Tables, tables

UNTIL = datetime(2026, 10, 15, 12, tzinfo=UTC)
BEGIN = UNTIL - timedelta(days=4)
PLAN = Plan(seed=11, sessions=90, users=9, days=10, until=UNTIL)
TABLE = {"logs": "otel_logs", "traces": "otel_traces", "metrics": "otel_metrics_sum"}
# The choice of a sample may depend on how its message is cut; another test checks that it is a valid one.
NOT_COMPARED = {"sample", "message", "error"}
# Those about the present, wrong data, chosen groups, other prices, or people's own MCP servers have tests of their own.
ELSEWHERE = {
    "freshness", "gaps", "data_quality", "prices", "trace", "session_traces", "mcp_server_sessions",
    "mcp_server_latency", "mcp_server_features", "compare", "what_if",
}  # fmt: skip
MORE: dict[str, list[dict[str, str]]] = {
    "sessions": [{"order": "usd", "limit": "7"}, {"order": "failures"}, {"order": "minutes"}],
    "cost_by": [{"by": by} for by in DIMENSIONS if by != "team"],
    "cache": [{"by": by} for by in ("day", "agent", "mcp_server", "project")],
    "cost_per_commit": [{"by": by} for by in ("user", "project", "department")],
    "forecast": [{"by": by, "budget": "3"} for by in ("team", "user", "model", "project")],
    "error_samples": [{"category": "tool Bash ShellError", "limit": "5"}],
    "tool_errors": [{"tool": "Bash"}],
    "adoption": [{"step": "week"}, {"step": "month"}],
    "security": [{"kind": "refused by a person"}],
    "waste": [{"repeats": "2"}],
}


@pytest.fixture(scope="module")
def requests() -> list[tuple[str, bytes]]:
    return [(request.signal, request.body) for request in generate(PLAN, Ledger())]


@pytest.fixture(scope="module")
def store(engine: Engine, requests: list[tuple[str, bytes]]) -> Iterator[Tables]:
    with tables(engine) as made:
        for signal, table in TABLE.items():
            made.store(table, *(body for kind, body in requests if kind == signal))
        yield made


@pytest.fixture(scope="module")
def world(requests: list[tuple[str, bytes]]) -> oracle.World:
    return oracle.read(requests, int(BEGIN.timestamp()) * 10**9, int(UNTIL.timestamp()) * 10**9)


def cases() -> Iterator[tuple[str, dict[str, str]]]:
    for question in questions():
        if question.name in ELSEWHERE:
            continue
        names = {parameter.name for parameter in question.parameters}
        yield question.name, {}
        for given in MORE.get(question.name, []):
            yield question.name, given
        if "team" in names:
            yield question.name, {"team": "demo-kraken"}
        if "user" in names:
            yield question.name, {"user": "one"}
        if "project" in names:
            yield question.name, {"project": "demo-harbour"}
        if "model" in names:
            yield question.name, {"model": "claude-opus-4-8"}


def ask(
    store: Tables,
    name: str,
    given: dict[str, str],
    begin: datetime = BEGIN,
    until: datetime = UNTIL,
) -> list[dict[str, Any]]:
    question = find(name)
    names = {parameter.name for parameter in question.parameters}
    period = {"from": f"{begin:%Y-%m-%d %H:%M:%S}", "to": f"{until:%Y-%m-%d %H:%M:%S}"}
    values = question.values({key: value for key, value in (period | given).items() if key in names})
    return store.dicts(question.sql, **values)


@pytest.mark.parametrize(("name", "given"), list(cases()), ids=str)
def test_the_answer_is_that_of_plain_python(
    store: Tables, world: oracle.World, name: str, given: dict[str, str]
) -> None:
    """Every row and column, in order, for the period, and again for a team, a user and other parameters."""
    chosen = dict(given)
    if given.get("user") == "one":
        chosen["user"] = world.during("tool_result")[0].user
    if name == "session":
        chosen["session"] = world.during("compaction")[0].session
    asked = oracle.World(world.events, world.spans, world.growth, world.begin, world.end, chosen)
    expected = answers.expected(find(name), asked)
    actual = [
        {key: value for key, value in row.items() if key not in NOT_COMPARED}
        for row in ask(store, name, chosen)
    ]
    assert [key for row in expected[:1] for key in row] == [key for row in actual[:1] for key in row]
    assert actual == expected


def test_the_data_have_what_is_asked_about(world: oracle.World) -> None:
    """An answer without rows would prove little."""
    empty = [
        name
        for name, given in cases()
        if not given and name != "session" and not answers.expected(find(name), world)
    ]
    assert empty == []


@pytest.mark.parametrize("begin", [BEGIN, BEGIN - timedelta(hours=7)], ids=str)
def test_a_period_is_of_whole_hours_for_every_question(store: Tables, begin: datetime) -> None:
    """Any moment of the same hours means the same period, down to the last second."""
    chance = random.Random(begin.hour)  # noqa: S311
    asked = [
        question.name
        for question in questions()
        if {"from", "to"} <= {one.name for one in question.parameters} and question.name not in ELSEWHERE
    ]
    assert len(asked) > 30
    first = begin + timedelta(seconds=chance.choice([1, chance.randrange(3600), 3599]))
    last = UNTIL - timedelta(seconds=chance.choice([0, chance.randrange(3600), 3599]))
    for name in asked:
        assert ask(store, name, {}, first, last) == ask(store, name, {}, begin, UNTIL), name


@pytest.mark.parametrize(("after", "length"), [(0, 190_000), (3601, 345_599), (50_000, 7_100)], ids=str)
def test_what_several_questions_count_is_the_same(store: Tables, after: int, length: int) -> None:
    """Requests, dollars, calls and failures: each total agrees in all questions, whatever the edges of the period."""
    begin = BEGIN + timedelta(seconds=after)
    until = begin + timedelta(seconds=length)

    def rows(name: str, **given: str) -> list[dict[str, Any]]:
        return ask(
            store, name, {"limit": "1000"} | given if name in {"users", "cost_by"} else given, begin, until
        )

    def total(name: str, column: str, **given: str) -> float:
        return sum(row[column] or 0 for row in rows(name, **given))

    # Nothing at all is no row.
    summary = defaultdict(int, {row["measure"]: row["value"] or 0 for row in rows("summary")})
    kinds = {row["event"]: row["events"] for row in rows("event_types")}
    assert {
        *(total(name, "requests") for name in ("cost", "cost_by", "cache", "activity", "users", "latency")),
        *(total("cost_by", "requests", by=by) for by in ("user", "hour")),
        total("workflow_steps", "requests"),
        kinds.get("api_request", 0),
    } == {summary["model requests"]}
    assert {
        total("tools", "calls"),
        *(total(name, "tool_calls") for name in ("activity", "users")),
        kinds.get("tool_result", 0),
    } == {summary["tool calls"]}
    assert {
        *(
            total(name, "failures")
            for name in ("errors", "errors_by_day", "activity", "users", "event_types")
        ),
    } == {summary["failures"]}
    assert {total("tools", "failures"), total("tool_errors", "failures")} == {summary["tool failures"]}
    assert {total("api_errors", "errors"), kinds.get("api_error", 0)} == {summary["api errors"]}
    assert total("compactions", "compactions") == kinds.get("compaction", 0)
    assert total("hooks", "runs") == kinds.get("hook_execution_complete", 0)
    assert total("retries", "exhausted") == kinds.get("api_retries_exhausted", 0)
    for name in ("cost", "cost_by", "cache", "activity", "users", "workflow_steps", "cost_per_commit"):
        # Each row is rounded to a hundredth of a cent.
        assert total(name, "usd") == pytest.approx(summary["usd"], abs=0.0001 * (1 + len(rows(name)))), name
    often = usual(EngineStore(store.engine), *whole_hours(begin, until), ALL)
    counted = {row["category"]: (row["failures"], row["before"]) for row in rows("errors")}
    assert often or summary["failures"] < 6
    for one in often:
        if "MCP server" not in one.title:
            assert (one.times, one.before) == counted[one.title]
