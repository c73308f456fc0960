"""`telemetry_measures`, from which findings are made, and `arrived`, by which clocks that are wrong are found."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access.insight.find import find as findings
from access.insight.finding import Block, Finding
from access.insight.series import DAY, EVERYONE, Measure, Part, read
from access.questions import find
from clickhouse.engine import Engine
from clickhouse.filling import fill
from clickhouse.migrations import migrate, migrations
from tests.engine_store import EngineStore
from tests.events import SERVICE, Record, Tables, event, logs, tables
from tests.requests import surveyed

HOUR = 3600
NOON = int(time.time()) // DAY * DAY - DAY // 2
"""Of yesterday."""
SUMS = "sum(events), sum(failures), sum(cost_nanos), round(sum(log_ms), 6), sum(timed), max(last_seen)"


@pytest.fixture(scope="module")
def made(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as found:
        yield found


@pytest.fixture
def store(made: Tables) -> Tables:
    made.clear()
    return made


def work(day: int) -> list[Record]:
    """Return some events of a day: calls of which every fourth fails, a request, a prompt, and a note."""
    at = NOON - day * DAY
    calls = [
        event(
            at + 60.0 * number, "tool_result", tool_name="Bash", success=number % 4 != 0, duration_ms=100 + number,
            tool_parameters='{"bash_command": "pytest"}', tool_use_id=f"toolu_{day}_{number}", user__email="ann",
        )
        for number in range(8)
    ]  # fmt: skip
    asked = event(
        at, "api_request", model="claude-opus-4-8", cost_usd=0.5, duration_ms=1000, input_tokens=10, output_tokens=5,
        cache_read_tokens=8000, request_id=f"req_{day}", user__email="ann",
    )  # fmt: skip
    return [*calls, asked, event(at, "user_prompt", user__email="ann"), event(at, "note", user__email="ann")]


def test_what_was_stored_before_is_summed_once(store: Tables) -> None:
    """By the upgrade, also one that was interrupted and is run again; later events by the view."""
    view = next(one for one in migrations() if one.name == "telemetry_measures_mv")
    store.engine.command("DROP TABLE telemetry_measures_mv SYNC")
    store.engine.command(
        "DELETE FROM schema_migrations WHERE number = {number:UInt32}", {"number": view.number}
    )
    for day in range(3):
        store.store("otel_logs", logs(work(day)))
    assert store.rows("SELECT count() FROM telemetry_measures") == [[0]]
    fill(store.engine, view.sql)
    assert [one.name for one in migrate(store.engine, 3650)] == [view.name]
    store.store("otel_logs", logs(work(3)))
    fill(store.engine, view.sql)
    (found,) = store.rows(f"SELECT {SUMS} FROM telemetry_measures")
    logged = 4 * (sum(math.log(100 + number) for number in range(8) if number % 4) + math.log(1000))
    newest = f"{datetime.fromtimestamp(NOON + 420, UTC):%Y-%m-%d %H:%M:%S}"
    assert found == [40, 8, 2_000_000_000, round(logged, 6), 28, newest]


def test_series_are_those_of_the_events(store: Tables) -> None:
    """Counted by hand: a tool and its program, requests, and what a prompt took."""
    for day in range(2):
        store.store("otel_logs", logs(work(day)))
    begin = datetime.fromtimestamp(NOON - 2 * DAY, UTC)
    known = {
        (one.measure, one.thing): one.steps
        for one in read(EngineStore(store.engine), begin, begin + timedelta(days=3), Part(), bucket=HOUR)
        if one.scope == EVERYONE
    }
    for thing in ("Bash", "Bash pytest"):
        assert [(step.n, step.k, step.ms) for step in known[Measure.TOOL_FAILS, thing]] == [(8, 2, 204)] * 2
        assert [(step.n, step.ms) for step in known[Measure.TOOL_TIME, thing]] == [(6, 624)] * 2
    (first, _) = known[Measure.REQUEST_TIME, "claude-opus-4-8"]
    assert (first.n, first.x, first.ms) == (1, pytest.approx(math.log(1000)), 1000)
    assert [(step.n, step.k, step.usd) for step in known[Measure.REQUESTS, ""]] == [(1, 1, 0.5)] * 2
    assert [round(step.x, 6) for step in known[Measure.CACHE, ""]] == [round(10 / 8010, 6)] * 2


def test_a_repeated_insert_changes_no_arrival_and_no_sum(store: Tables) -> None:
    """A batch that is inserted again, as after a kill, is what it was."""
    block = store.transform.run("otel_logs", surveyed("otel_logs", [logs(work(0))])).data
    writer = store.writer
    writer.insert("otel_logs", block, "repeated")
    asked = (
        "SELECT groupArray(toString(arrived)) FROM (SELECT arrived FROM telemetry_events ORDER BY timestamp)"
    )
    first = store.rows(asked)
    began = time.time()
    writer.insert("otel_logs", block, "repeated")
    assert store.rows(asked) == first
    ((least, most),) = store.rows(
        "SELECT toUnixTimestamp(min(arrived)), toUnixTimestamp(max(arrived)) FROM telemetry_events"
    )
    assert began - 600 < least <= most <= began + 600
    assert store.rows("SELECT sum(events) FROM telemetry_measures") == [[10]]


def asked_at(session: str, user: str, times: list[tuple[float, float]]) -> list[dict[str, Any]]:
    """Return requests with the times that they tell, and those at which they arrive."""
    return [
        {
            "timestamp": f"{told:.3f}", "arrived": f"{arrived:.3f}", "event_type": "api_request", "session_id": session,
            "user_id": user, "host_name": f"host of {user}", "cost_nanos": 250_000_000,
        }
        for told, arrived in times
    ]  # fmt: skip


def test_a_wrong_clock_is_found_by_session_and_machine_with_its_dollars(store: Tables) -> None:
    """Ahead by hours, and behind; what waited on its way, or is imported, is neither."""
    now = time.time() - 60
    begin = now - HOUR
    minutes = [begin + 60.0 * number for number in range(20)]
    rows = [
        *asked_at("s-ahead", "ann", [(at + 3 * HOUR, at + 2) for at in minutes]),
        *asked_at("s-behind", "bob", [(at - 2 * HOUR, at + 3) for at in minutes]),
        # From a spool, or a transcript: all of it at once.
        *asked_at("s-waited", "eve", [(at - 5 * HOUR, begin) for at in minutes]),
        *asked_at("s-right", "joe", [(at, at + 4) for at in minutes]),
    ]
    names = list(rows[0])
    values = ", ".join(
        f"({', '.join(repr(row[name]) if isinstance(row[name], str) else str(row[name]) for name in names)})"
        for row in rows
    )
    store.engine.command(f"INSERT INTO telemetry_events ({', '.join(names)}) VALUES {values}")
    until = datetime.fromtimestamp(now + 30, UTC)
    insight = findings(EngineStore(store.engine), until - timedelta(days=7), until, now=until)
    clocks = {one.thing: one for one in insight.of(Block.DATA) if one.kind == "clock"}
    assert set(clocks) == {"ahead", "behind"}

    def said(one: Finding) -> tuple[Any, ...]:
        return (
            one.users,
            one.sessions,
            one.usd,
            one.times,
            round(one.now or 0, 1),
            one.who.rpartition(", ")[2],
        )

    assert said(clocks["ahead"]) == (("ann",), ("s-ahead",), 5.0, 20, 3.0, "machine host of ann")
    assert said(clocks["behind"]) == (("bob",), ("s-behind",), 5.0, 20, 2.0, "machine host of bob")
    assert abs(clocks["behind"].since.timestamp() - begin) < 10
    question = find("data_quality")
    listed = {row["fault"]: row for row in store.dicts(question.sql, **question.values({}))}
    assert {
        fault: (row["events"], row["sessions"], row["usd"], row["sample"]) for fault, row in listed.items()
    } == {
        "clock_ahead": (20, 1, 5.0, "3 hours"),
        "clock_behind": (20, 1, 5.0, "2 hours"),
    }


def test_versions_and_projects_are_compared(store: Tables) -> None:
    """Failures and cost of one version beside another's, and of projects."""
    for version, project, count in (("2.1.1", "web", 2), ("2.1.2", "api", 1)):
        for number in range(count):
            records = work(int(version[-1]) * 2 + number)
            store.store(
                "otel_logs", logs(records, {**SERVICE, "service.version": version, "project": project})
            )
    names = (
        "value",
        "users",
        "requests",
        "tool_calls",
        "tools_failed_percent",
        "p50_ms",
        "usd",
        "usd_per_prompt",
    )

    def compared(by: str) -> list[tuple[Any, ...]]:
        question = find("compare")
        rows = store.dicts(question.sql, **question.values({"by": by, "from": "2020-01-01 00:00:00"}))
        return [tuple(row[name] for name in names) for row in rows]

    assert compared("version") == [
        ("2.1.1", 1, 2, 16, 25, 1000, 1, 0.5),
        ("2.1.2", 1, 1, 8, 25, 1000, 0.5, 0.5),
    ]
    assert [row[0] for row in compared("project")] == ["web", "api"]
    clients = find("clients")
    given = {"from": "2020-01-01 00:00:00", "version": "2.1.2", "before_version": "2.1.1"}
    rows = store.dicts(clients.sql, **clients.values(given))
    # All of it is of one session, which counts with its newest version.
    assert [(row["version"], row["tools_failed_percent"]) for row in rows] == [("2.1.2", 25)]
