"""`query_telemetry` on generated data: whole answers, compared with what plain Python makes of the same requests."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access.answer import Answer
from access.reading import Desk, Reading
from access.refusal import Code, Refusal
from access.telemetry_query import query_telemetry
from clickhouse.engine import Engine
from demo.generate import Ledger, Plan, generate
from tests import oracle
from tests.engine_store import EngineStore
from tests.events import SERVICE, Tables, event, logs, tables
from tests.oracle import Event, World

UNTIL = datetime(2026, 10, 15, 12, tzinfo=UTC)
BEGIN = UNTIL - timedelta(days=4, minutes=17)
PLAN = Plan(seed=11, sessions=60, users=9, days=10, until=UNTIL)
TABLE = {"logs": "otel_logs", "traces": "otel_traces", "metrics": "otel_metrics_sum"}
PERIOD = {"start_date": BEGIN.isoformat(), "end_date": UNTIL.isoformat()}
WORK = ("tool_result", "api_request", "api_error")


@pytest.fixture(scope="module")
def requests() -> list[tuple[str, bytes]]:
    return [(request.signal, request.body) for request in generate(PLAN, Ledger())]


@pytest.fixture(scope="module")
def filled(engine: Engine, requests: list[tuple[str, bytes]]) -> Iterator[Tables]:
    with tables(engine) as made:
        for signal, table in TABLE.items():
            made.store(table, *(body for kind, body in requests if kind == signal))
        yield made


@pytest.fixture(scope="module")
def world(requests: list[tuple[str, bytes]]) -> World:
    return oracle.read(requests, int(BEGIN.timestamp()) * 10**9, int(UNTIL.timestamp()) * 10**9)


@pytest.fixture(scope="module")
def store(filled: Tables) -> EngineStore:
    return EngineStore(filled.engine)


@pytest.fixture
def reading(store: EngineStore) -> Reading:
    store.asked.clear()
    return open_desk(store).reading("tester")


def open_desk(store: EngineStore) -> Desk:
    return Desk(store, limiter=None, clock=lambda: UNTIL + timedelta(days=1))


def ask(reading: Reading, query_type: str, /, **arguments: Any) -> Answer:
    filters = {**PERIOD, **arguments.pop("filters", {})}
    return query_telemetry(reading, query_type, filters, max_characters=45_000, **arguments)


def rows(answer: Answer) -> list[dict[str, Any]]:
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def pages(reading: Reading, query_type: str, /, **arguments: Any) -> list[dict[str, Any]]:
    """Read page after page to the end."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        answer = ask(reading, query_type, cursor=cursor, **arguments)
        found += rows(answer)
        cursor = answer.next_cursor
        assert answer.has_more == (cursor is not None)
        if cursor is None:
            return found


def number(value: float | None) -> float | None:
    """Return a number as an answer has it."""
    return None if value is None else float(f"{value:.10g}")


def moment(nanos: int) -> str:
    at = datetime.fromtimestamp(nanos // 10**9, UTC) + timedelta(microseconds=nanos % 10**9 // 1000)
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")


def tool(one: Event) -> str:
    return one.server_tool or one.tool


def tokens(events: Iterable[Event], key: str) -> int:
    return sum(one.count(key) for one in events)


def call(one: Event) -> dict[str, Any]:
    size = one.number("tool_result_size_bytes")
    return {
        "timestamp": moment(one.time),
        "session": one.session,
        "mcp_server": one.server,
        "tool": tool(one),
        "task_type": one.step,
        "duration_ms": number(one.ms),
        "success": one.success,
        "error": one.failure,
        "response_size": number(size),
        "agent": one.agent,
        "team": one.team,
        "user": one.user,
    }


def benchmark(events: list[Event]) -> dict[str, Any]:
    one = events[0]
    calls = [event for event in events if event.name == "tool_result"]
    sizes = [size for event in events if (size := event.number("tool_result_size_bytes")) is not None]
    errors = sum(event.failure != "" for event in events)
    incoming, outgoing = tokens(events, "input_tokens"), tokens(events, "output_tokens")
    requests = [event for event in events if event.name == "api_request"]
    unpriced = sum(event.number("cost_usd") is None for event in requests)
    is_unknown = unpriced > 0 and unpriced == len(requests)
    return {
        "benchmark_id": f"{one.session}/{one.server}" if one.server else one.session,
        "timestamp": moment(min(event.time for event in events)),
        "mcp_server": one.server,
        "task_type": min(((event.time, event.step) for event in events if event.step), default=(0, ""))[1],
        "duration_ms": number(sum(event.ms or 0 for event in events)),
        "tokens_in": incoming,
        "tokens_out": outgoing,
        "tokens_total": incoming + outgoing,
        "cost_usd": None if is_unknown else number(sum(event.nanos for event in events) / 1e9),
        "recomputed_usd": 0,
        "unpriced": unpriced,
        "success": not errors,
        "error_count": errors,
        "retrieval_calls": len(calls),
        "retrieval_ms": number(sum(event.ms or 0 for event in calls)),
        "avg_response_size": number(sum(sizes) / len(sizes)) if sizes else None,
        "requests": sum(event.name == "api_request" for event in events),
        "model": max(event.model for event in events),
        "team": max(event.team for event in events),
        "user": max(event.user for event in events),
    }


def by(found: Iterable[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return sorted(found, key=lambda row: json.dumps([row[name] for name in names] or row, sort_keys=True))


def without(found: Iterable[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in names} for row in found]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({}, lambda _: True),
        ({"mcp_server": ""}, lambda one: one.server == ""),
        ({"tool": "Bash"}, lambda one: one.tool == "Bash"),
        ({"team": "demo-kraken"}, lambda one: one.team == "demo-kraken"),
        (
            {"min_duration": 100, "max_duration": 900.5},
            lambda one: one.ms is not None and 100 <= one.ms <= 900.5,
        ),
    ],
    ids=["all", "no server", "tool", "team", "duration"],
)
def test_calls(
    reading: Reading, world: World, filters: dict[str, Any], fits: Callable[[Event], bool]
) -> None:
    """Every tool call of the period that the filters let through, over all pages."""
    found = pages(reading, "calls", filters=filters, limit=211)
    expected = [call(one) for one in world.during("tool_result") if fits(one)]
    assert expected
    assert by(without(found, "error_details", "call_id")) == by(expected)


def test_calls_are_ordered(reading: Reading, world: World) -> None:
    """By time, the newest first, or by a measure; what has none comes last."""
    newest = ask(reading, "calls", limit=5)
    assert [row["timestamp"] for row in rows(newest)] == [
        moment(one.time) for one in reversed(world.during("tool_result")[-5:])
    ]
    assert newest.has_more
    longest = rows(ask(reading, "calls", order="-duration", limit=5))
    durations = sorted((one.ms or 0 for one in world.during("tool_result")), reverse=True)
    assert [row["duration_ms"] for row in longest] == [number(value) for value in durations[:5]]


def test_benchmarks(reading: Reading, world: World) -> None:
    """What each session did with each MCP server, and what it did without."""
    parts = oracle.group(
        [one for one in world.during(*WORK) if one.session], lambda one: (one.session, one.server)
    )
    expected = [benchmark(events) for events in parts.values()]
    assert by(pages(reading, "benchmarks", limit=37), "benchmark_id") == by(expected, "benchmark_id")
    server = next(one["mcp_server"] for one in expected if one["mcp_server"])
    assert by(pages(reading, "benchmarks", filters={"mcp_server": server}), "benchmark_id") == by(
        (one for one in expected if one["mcp_server"] == server), "benchmark_id"
    )
    slow = sorted(one["duration_ms"] for one in expected)[-3]
    found = pages(reading, "benchmarks", filters={"min_duration": slow})
    assert sorted(row["duration_ms"] for row in found) == sorted(one["duration_ms"] for one in expected)[-3:]


def test_a_model_is_that_of_its_sessions(reading: Reading, world: World) -> None:
    """Tool calls name none."""
    model = next(one.model for one in world.during("api_request"))
    sessions = {one.session for one in world.during("api_request") if one.model == model}
    found = pages(reading, "calls", filters={"model": model}, limit=500)
    assert len(found) == sum(one.session in sessions for one in world.during("tool_result"))
    assert {row["session"] for row in found} <= sessions


def test_statistics_by_group(reading: Reading, world: World) -> None:
    """The example of the access layer's document: averages and percentiles by server and task type."""
    answer = ask(
        reading,
        "aggregated",
        aggregation={
            "group_by": ["mcp_server", "task_type"],
            "metrics": ["avg", "min", "max", "p50", "p95", "p99"],
        },
        limit=500,
    )
    groups = oracle.group(world.during(*WORK), lambda one: (one.server, one.step))
    expected = []
    for (server, step), events in groups.items():
        durations = [one.ms for one in events if one.ms is not None]
        expected.append(
            {
                "mcp_server": server,
                "task_type": step,
                "count": len(events),
                "error_count": sum(one.failure != "" for one in events),
                "avg_duration_ms": pytest.approx(sum(durations) / len(durations)) if durations else None,
                "min_duration_ms": number(min(durations, default=None)),
                "max_duration_ms": number(max(durations, default=None)),
                **{
                    f"p{percent}_duration_ms": number(oracle.quantile(durations, percent / 100))
                    for percent in (50, 95, 99)
                },
            }
        )
    assert by(rows(answer), "mcp_server", "task_type") == by(expected, "mcp_server", "task_type")
    counts = [row["count"] for row in rows(answer)]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("group", [["mcp_server", "tool"], ["hour"], ["day", "team"], ["event", "error"], []])
def test_sums_come_from_the_roll_ups_and_are_exact(reading: Reading, world: World, group: list[str]) -> None:
    """Whole hours from the roll-ups, the rest of the period from events: together as if each event was added."""
    measures = ["duration_ms", "tokens_in", "tokens_out", "tokens_total", "cost_usd"]
    answer = ask(
        reading, "aggregated", aggregation={"group_by": group, "metrics": ["sum"], "of": measures}, limit=1000
    )
    assert "telemetry_hourly" in answer.query_executed
    names = {
        "mcp_server": lambda one: one.server,
        "tool": tool,
        "team": lambda one: one.team,
        "event": lambda one: one.name,
        "error": lambda one: one.failure,
        "hour": lambda one: f"{datetime.fromtimestamp(one.time // 10**9, UTC):%Y-%m-%dT%H:00:00Z}",
        "day": lambda one: f"{datetime.fromtimestamp(one.time // 10**9, UTC):%Y-%m-%dT00:00:00Z}",
    }
    named = group or ["day"]
    groups = oracle.group(world.during(*WORK), lambda one: tuple(names[name](one) for name in named))
    expected = []
    for key, events in groups.items():
        incoming, outgoing = tokens(events, "input_tokens"), tokens(events, "output_tokens")
        expected.append(
            {
                **dict(zip(named, key, strict=True)),
                "count": len(events),
                "error_count": sum(one.failure != "" for one in events),
                "sum_duration_ms": pytest.approx(sum(one.ms or 0 for one in events)),
                "sum_tokens_in": incoming,
                "sum_tokens_out": outgoing,
                "sum_tokens_total": incoming + outgoing,
                "sum_cost_usd": number(sum(one.nanos for one in events) / 1e9),
            }
        )
    assert by(rows(answer), *named) == by(expected, *named)


def test_sums_are_those_of_the_events_without_roll_ups(reading: Reading) -> None:
    """What the roll-ups cannot answer, such as one session, is asked of the events, and is the same."""
    aggregation = {"group_by": ["tool"], "metrics": ["sum"], "of": ["duration_ms", "cost_usd"]}
    rolled_up = ask(reading, "aggregated", aggregation=aggregation, limit=1000)
    events = ask(reading, "aggregated", aggregation=aggregation, filters={"min_duration": 0}, limit=1000)
    assert "telemetry_hourly" not in events.query_executed
    # An event without a duration has none that is 0 or more.
    assert {row["tool"] for row in rows(events)} <= {row["tool"] for row in rows(rolled_up)}
    bash = [
        next(row["sum_duration_ms"] for row in rows(answer) if row["tool"] == "Bash")
        for answer in (rolled_up, events)
    ]
    assert bash[0] == pytest.approx(bash[1])


def test_groups_of_time_follow_the_clock_of_the_zone(reading: Reading, world: World) -> None:
    """A day begins at midnight there."""
    answer = ask(
        reading,
        "calls",
        aggregation={"group_by": ["day"], "metrics": ["count"]},
        zone="Asia/Kolkata",
        limit=100,
    )
    offset = timedelta(hours=5, minutes=30)
    days = oracle.group(
        world.during("tool_result"),
        lambda one: (datetime.fromtimestamp(one.time // 10**9, UTC) + offset).date(),
    )
    expected = {
        (datetime.combine(day, datetime.min.time(), UTC) - offset).isoformat().replace("+00:00", "Z"): len(
            events
        )
        for day, events in days.items()
    }
    assert {row["day"]: row["count"] for row in rows(answer)} == expected
    assert answer.as_dict()["time_range"]["zone"] == "Asia/Kolkata"


def test_counters_are_added_up_by_how_much_they_grew(reading: Reading, world: World) -> None:
    """Whichever temporality a client was set to."""
    answer = ask(reading, "metrics", aggregation={"group_by": ["metric"], "metrics": ["sum"]}, limit=100)
    grown: dict[str, float] = {}
    for one in world.growth:
        if world.begin <= one.time < world.end:
            grown[f"claude_code.{one.metric}"] = grown.get(f"claude_code.{one.metric}", 0) + one.value
    assert {row["metric"]: row["sum_value"] for row in rows(answer)} == {
        name: pytest.approx(value) for name, value in grown.items()
    }


def test_data_points(reading: Reading, filled: Tables) -> None:
    """As they were sent, of one metric."""
    found = pages(reading, "metrics", filters={"metric": "claude_code.cost.usage"}, limit=500)
    counted = filled.rows(
        "SELECT count(), sum(Value) FROM otel_metrics_sum WHERE MetricName = 'claude_code.cost.usage'"
        " AND TimeUnix >= {from:DateTime64(6, 'UTC')} AND TimeUnix < {to:DateTime64(6, 'UTC')}",
        **{"from": f"{BEGIN:%Y-%m-%d %H:%M:%S}", "to": f"{UNTIL:%Y-%m-%d %H:%M:%S}"},
    )
    assert [[len(found), pytest.approx(sum(row["value"] for row in found))]] == counted
    assert {row["metric"] for row in found} == {"claude_code.cost.usage"}


def test_an_answer_says_how_to_read_it(reading: Reading) -> None:
    """The period, how new and how complete the data is, the statement, a next step."""
    found = ask(reading, "calls", limit=3).as_dict()
    assert found["time_range"] == {
        "start": "2026-10-11T11:43:00Z",
        "end": "2026-10-15T12:00:00Z",
        "zone": "UTC",
    }
    assert found["freshness"]["newest"].startswith("2026-10-15T1")
    assert 0.9 < found["completeness"] <= 1
    assert found["query_executed"].startswith("SELECT timestamp")
    assert found["parameters"]["limit"] == "4"
    assert found["hints"]
    assert "cached_age_seconds" not in found
    assert ask(reading, "calls", limit=3).cached_age_seconds == 0


def test_a_name_that_is_not_in_the_period_is_answered_with_those_that_are(reading: Reading) -> None:
    """Nearest first."""
    answer = ask(reading, "calls", filters={"tool": "Bsh"})
    assert answer.rows == []
    assert answer.hints[0].startswith("Nothing in the period has tool 'Bsh'. There are Bash")


@pytest.mark.parametrize(
    ("query_type", "arguments", "code", "field", "nearest"),
    [
        ("bench", {}, Code.UNKNOWN_NAME, "query_type", "benchmarks"),
        ("calls", {"filters": {"mcp_sever": "x"}}, Code.UNKNOWN_NAME, "filters.mcp_sever", "mcp_server"),
        ("calls", {"filters": {"tool": ["a"]}}, Code.INVALID_ARGUMENT, "filters.tool", None),
        ("calls", {"filters": {"min_duration": "x"}}, Code.INVALID_ARGUMENT, "filters.min_duration", None),
        (
            "calls",
            {"filters": {"min_duration": 9, "max_duration": 1}},
            Code.INVALID_ARGUMENT,
            "filters.min_duration",
            None,
        ),
        ("calls", {"filters": {"end_date": BEGIN.isoformat()}}, Code.INVALID_ARGUMENT, "end_date", None),
        ("calls", {"filters": {"start_date": "2026-07-01"}}, Code.RANGE_TOO_LONG, "start_date", None),
        ("metrics", {"filters": {"min_duration": 1}}, Code.UNKNOWN_NAME, "filters.min_duration", None),
        ("calls", {"aggregation": {"group_by": ["tol"]}}, Code.UNKNOWN_NAME, "aggregation.group_by", "tool"),
        ("calls", {"aggregation": {"metrics": ["p97"]}}, Code.UNKNOWN_NAME, "aggregation.metrics", "p99"),
        ("calls", {"aggregation": {"by": "tool"}}, Code.UNKNOWN_NAME, "aggregation", None),
        ("calls", {"order": "duratoin"}, Code.UNKNOWN_NAME, "order", "duration_ms"),
        ("calls", {"limit": 0}, Code.INVALID_ARGUMENT, "limit", None),
        ("calls", {"zone": "Mars"}, Code.UNKNOWN_NAME, "zone", None),
        ("calls", {"cursor": "x"}, Code.INVALID_CURSOR, "cursor", None),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(
    reading: Reading, query_type: str, arguments: dict[str, Any], code: Code, field: str, nearest: str | None
) -> None:
    """With the field at fault and what it takes, without asking the store."""
    with pytest.raises(Refusal) as caught:
        ask(reading, query_type, **arguments)
    assert (caught.value.code, caught.value.field) == (code, field)
    if nearest:
        assert nearest in caught.value.nearest
    assert isinstance(reading.store, EngineStore)
    assert reading.store.asked == []
    assert len(json.dumps(caught.value.as_dict())) < 2_000


@pytest.mark.parametrize("name", ["mcp_server", "tool", "model", "team", "user", "session", "task_type"])
def test_sql_in_a_filter_is_a_text(reading: Reading, name: str) -> None:
    """It is bound, so that it matches nothing and does nothing."""
    answer = ask(reading, "benchmarks", filters={name: "' OR 1=1 --"})
    assert answer.rows == []
    assert "OR 1=1" not in answer.query_executed


def test_pages_go_on_where_the_last_one_ended_though_records_arrive_late(engine: Engine) -> None:
    """None is repeated and none is lost, among equal ones too."""
    second = UNTIL.timestamp() - 3600
    with tables(engine) as made:
        sent = [
            event(second + number // 4, "tool_result", tool_name="Read", success="true", duration_ms="5")
            for number in range(20)
        ]
        made.store("otel_logs", logs(sent, SERVICE))
        reading = open_desk(EngineStore(engine)).reading("tester")
        seen = []
        cursor = None
        for page in itertools.count():
            answer = ask(reading, "calls", limit=3, cursor=cursor)
            seen += rows(answer)
            late = event(UNTIL.timestamp() - 60 + page, "tool_result", tool_name="Late", success="true")
            made.store("otel_logs", logs([late], SERVICE))
            cursor = answer.next_cursor
            if cursor is None:
                break
    assert [row["tool"] for row in seen] == ["Read"] * 20
    assert [row["timestamp"] for row in seen] == [
        moment(int((second + number // 4) * 10**9)) for number in reversed(range(20))
    ]


def test_a_cursor_is_its_owners_and_its_questions(store: EngineStore) -> None:
    """Of others, or with other filters, it is refused."""
    desk = open_desk(store)
    cursor = ask(desk.reading("one"), "calls", limit=3).next_cursor
    assert rows(ask(desk.reading("one"), "calls", limit=3, cursor=cursor))
    with pytest.raises(Refusal, match="another caller"):
        ask(desk.reading("two"), "calls", limit=3, cursor=cursor)
    with pytest.raises(Refusal, match="another question"):
        ask(desk.reading("one"), "calls", filters={"tool": "Bash"}, cursor=cursor)


def test_an_answer_without_room_for_its_rows_goes_on_by_cursor(reading: Reading, world: World) -> None:
    """All rows come, page by page, each within the budget."""
    found = []
    cursor = None
    while True:
        answer = query_telemetry(reading, "calls", PERIOD, limit=1000, cursor=cursor, max_characters=6_000)
        assert len(answer.as_json()) <= 6_000
        found += rows(answer)
        cursor = answer.next_cursor
        if cursor is None or len(found) > 200:
            break
        assert answer.truncated
    newest = [moment(one.time) for one in reversed(world.during("tool_result"))]
    assert [row["timestamp"] for row in found] == newest[: len(found)]
