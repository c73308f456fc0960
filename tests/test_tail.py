"""`tail_telemetry`: all that arrives, once, in the order of arrival, however the engine stores and merges it."""

import itertools
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access import budget
from access.answer import Answer
from access.reading import Desk, Reading
from access.refusal import Code, Refusal
from access.store import ClientStore, open_store
from access.tail import EVENTS, TYPES, limit, tail_telemetry
from clickhouse.engine import Engine
from clickhouse.migrations import migrations
from tests.engine_store import EngineStore
from tests.events import Record, Tables, event, logs, tables
from tests.server import Server

NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)


@pytest.fixture
def filled(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as made:
        yield made


@pytest.fixture
def reading(filled: Tables) -> Reading:
    return Desk(EngineStore(filled.engine), limiter=None, clock=lambda: NOW).reading("tester")


def call(name: str, age: timedelta = timedelta(minutes=1), /, **more: Any) -> Record:
    """Return a tool call that ended so long ago, in a session of that name."""
    given = {"tool_name": "Bash", "success": True, "duration_ms": 100.0, "session__id": name, **more}
    return event((NOW - age).timestamp(), "tool_result", **given)


def sessions(answer: Answer) -> list[str]:
    """Return the sessions of the events, in their order."""
    return [found["session_id"] for found in data(answer)]


def data(answer: Answer) -> list[dict[str, Any]]:
    return [json.loads(row[2]) for row in answer.rows]


def pages(reading: Reading, cursor: str | None, **arguments: Any) -> Iterator[Answer]:
    """Read until there is no more."""
    while True:
        answer = tail_telemetry(reading, cursor, max_characters=45_000, **arguments)
        yield answer
        cursor = answer.next_cursor
        if not answer.has_more:
            return


def rest(reading: Reading, cursor: str | None) -> tuple[list[str], str | None]:
    """Return the sessions of all that has arrived since, and the cursor after it."""
    found = list(pages(reading, cursor))
    return [name for answer in found for name in sessions(answer)], found[-1].next_cursor


def begun(reading: Reading) -> str:
    answer = tail_telemetry(reading)
    assert answer.rows == []
    assert answer.next_cursor
    return answer.next_cursor


def merge(filled: Tables) -> None:
    filled.engine.command("OPTIMIZE TABLE telemetry_events FINAL")


def test_what_was_there_before_is_not_told(filled: Tables, reading: Reading) -> None:
    """Without a cursor, a call begins with the events that arrive after it."""
    filled.store("otel_logs", logs([call("old")]))
    cursor = begun(reading)
    filled.store("otel_logs", logs([call("new")]))
    answer = tail_telemetry(reading, cursor)
    assert (answer.columns, sessions(answer)) == (("type", "timestamp", "data"), ["new"])
    assert answer.rows[0][:2] == ["benchmark_complete", "2026-10-15T11:59:00Z"]
    assert answer.finding == "1 benchmark_complete."
    again = tail_telemetry(reading, answer.next_cursor)
    assert (again.rows, again.finding) == ([], "Nothing in 0 s.")


def test_late_events_are_not_missed(filled: Tables, reading: Reading) -> None:
    """An event of last month that arrives now comes now."""
    cursor = begun(reading)
    found = []
    for number, age in enumerate([1, 40_000, 30, 20_000, 0, 1_500]):
        filled.store("otel_logs", logs([call(f"s{number}", timedelta(minutes=age))]))
        names, next_cursor = rest(reading, cursor)
        found += names
        assert next_cursor
        cursor = next_cursor
    assert found == [f"s{number}" for number in range(6)]


@pytest.mark.parametrize("days", [1, 3])
def test_merges_change_nothing(filled: Tables, reading: Reading, days: int) -> None:
    """Events that were read and events that were not may be merged into one part: none is lost or repeated."""
    numbers = itertools.count()

    def insert() -> list[str]:
        names = [f"s{next(numbers)}" for _ in range(3 * days)]
        ages = [timedelta(days=place % days, minutes=5) for place in range(len(names))]
        filled.store("otel_logs", logs([call(name, age) for name, age in zip(names, ages, strict=True)]))
        return names

    insert()
    merge(filled)
    cursor = begun(reading)
    found, expected = [], []
    for _ in range(3):
        expected += insert()
        expected += insert()
        merge(filled)
        expected += insert()
        names, after = rest(reading, cursor)
        found += names
        assert after
        cursor = after
        merge(filled)
        assert rest(reading, cursor)[0] == []
    assert sorted(found) == sorted(expected)
    assert len(set(found)) == len(found)


def test_a_database_from_before_is_followed_from_now_on(filled: Tables, reading: Reading) -> None:
    """Events that were merged before the table kept the inserts are old; new ones are not taken for them."""
    filled.engine.command("ALTER TABLE telemetry_events RESET SETTING enable_block_number_column")
    for number in range(3):
        filled.store("otel_logs", logs([call(f"old{number}")]))
    merge(filled)
    filled.engine.command("ALTER TABLE telemetry_events MODIFY SETTING enable_block_number_column = 1")
    cursor = begun(reading)
    for number in range(2):
        filled.store("otel_logs", logs([call(f"new{number}")]))
        merge(filled)
    assert rest(reading, cursor)[0] == ["new0", "new1"]


def test_deleting_others_changes_nothing(filled: Tables, reading: Reading) -> None:
    """As `telemetry forget` does."""
    filled.store("otel_logs", logs([call("other"), call("old")]))
    cursor = begun(reading)
    filled.store("otel_logs", logs([call("other"), call("new")]))
    filled.engine.command(
        "ALTER TABLE telemetry_events DELETE WHERE session_id = 'other' SETTINGS mutations_sync = 2"
    )
    merge(filled)
    assert rest(reading, cursor)[0] == ["new"]


def test_many_events_of_one_insert_come_in_parts(filled: Tables, reading: Reading) -> None:
    """Each once, also when they are merged in between, and when a budget cuts a part short."""
    cursor: str | None = begun(reading)
    names = [f"s{number}" for number in range(2 * EVENTS + 30)]
    filled.store("otel_logs", logs([call(name) for name in names]))
    found = []
    for number in itertools.count():
        answer = tail_telemetry(reading, cursor, max_characters=budget.LEAST)
        assert budget.length(answer) <= budget.LEAST
        found += sessions(answer)
        cursor = answer.next_cursor
        if not answer.has_more:
            break
        if number < 2:
            filled.store("otel_logs", logs([call(f"later{number}")]))
            merge(filled)
    assert sorted(found) == sorted([*names, "later0", "later1"])


def test_errors_and_anomalies_are_told_apart(filled: Tables, reading: Reading) -> None:
    """A failure with its message, and a call that took far longer than is usual for its tool."""
    usual = [call("usual", timedelta(hours=2), duration_ms=80.0 + number) for number in range(60)]
    filled.store("otel_logs", logs(usual))
    cursor = begun(reading)
    new = [
        call("fine"),
        call("slow", duration_ms=5_000.0),
        call("rare", tool_name="Rare", duration_ms=5_000.0),
        call("failed", success=False, error_type="ShellError", error="exit code 1"),
        event(NOW.timestamp() - 5, "api_error", session__id="api", status_code=529, error="overloaded"),
        event(NOW.timestamp() - 5, "user_prompt", session__id="no work"),
    ]
    filled.store("otel_logs", logs(new))
    answer = tail_telemetry(reading, cursor)
    kinds = {found["session_id"]: row[0] for found, row in zip(data(answer), answer.rows, strict=True)}
    assert kinds == {
        "fine": "benchmark_complete",
        "slow": "performance_anomaly",
        "rare": "benchmark_complete",
        "failed": "error_detected",
        "api": "error_detected",
    }
    by_session = {found["session_id"]: found for found in data(answer)}
    assert by_session["slow"]["usual_of"] == 63
    assert by_session["failed"]["failure"] == "tool Bash ShellError"
    assert by_session["api"]["message"] == "overloaded"
    errors = tail_telemetry(
        reading, tail_telemetry(reading, types=["error_detected"]).next_cursor, types=["error_detected"]
    )
    assert errors.rows == []
    filled.store("otel_logs", logs(new))
    found = tail_telemetry(reading, errors.next_cursor, types=["error_detected"])
    assert sorted(sessions(found)) == ["api", "failed"]


def test_what_is_unusual_goes_by_the_spread() -> None:
    """Tight durations have a near limit, wide ones a far one, and never less than twice the median."""
    assert limit(90, 100, 110) == 200
    assert limit(50, 100, 200) == 200 * 4**2
    assert limit(0, 0, 10) == float("inf")


def test_it_waits_until_something_arrives(filled: Tables, reading: Reading) -> None:
    """Between queries, and no longer than it has to."""
    cursor = begun(reading)
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            filled.store("otel_logs", logs([call("new")]))

    answer = tail_telemetry(reading, cursor, 20, pause=pause)
    assert (sessions(answer), waited) == (["new"], [0.5] * 3)
    began = time.monotonic()
    assert tail_telemetry(reading, answer.next_cursor, 0.2).rows == []
    assert 0.2 <= time.monotonic() - began < 60


def test_an_emptied_store_is_said(filled: Tables, reading: Reading) -> None:
    """Its inserts are counted from the start again; later events are returned."""
    for number in range(5):
        filled.store("otel_logs", logs([call(f"s{number}")]))
    cursor = begun(reading)
    filled.engine.command("DROP TABLE telemetry_events SYNC")
    for one in migrations():
        if re.search(r"(?m)^(CREATE|ALTER) TABLE (IF NOT EXISTS )?telemetry_events\b", one.sql):
            filled.engine.command(one.sql)
    filled.store("otel_logs", logs([call("new")]))
    answer = tail_telemetry(reading, cursor)
    assert "was emptied or restored" in answer.notes[0]
    filled.store("otel_logs", logs([call("newer")]))
    assert rest(reading, answer.next_cursor)[0] == ["newer"]


def test_a_cluster_is_refused(filled: Tables, reading: Reading) -> None:
    """Its nodes number their inserts each for itself."""
    filled.engine.command("DROP TABLE telemetry_events SYNC")
    filled.engine.command("CREATE TABLE telemetry_events (timestamp DateTime64(9)) ENGINE = Memory")
    with pytest.raises(Refusal, match="no common order"):
        tail_telemetry(reading)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"wait_seconds": 21}, "wait_seconds"),
        ({"wait_seconds": -1}, "wait_seconds"),
        ({"wait_seconds": float("nan")}, "wait_seconds"),
        ({"wait_seconds": True}, "wait_seconds"),
        ({"types": ["errors"]}, "types"),
        ({"types": []}, "types"),
        ({"cursor": "abc"}, "cursor"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(reading: Reading, arguments: dict[str, Any], field: str) -> None:
    """With the argument and what it takes."""
    with pytest.raises(Refusal) as caught:
        tail_telemetry(reading, **arguments)
    assert caught.value.field == field


def test_a_cursor_is_its_callers_and_of_its_types(reading: Reading) -> None:
    """Another caller's, or one of other types, is refused."""
    cursor = begun(reading)
    with pytest.raises(Refusal) as caught:
        tail_telemetry(reading.desk.reading("another"), cursor)
    assert caught.value.code is Code.FORBIDDEN
    with pytest.raises(Refusal) as caught:
        tail_telemetry(reading, cursor, types=TYPES[:1])
    assert caught.value.code is Code.INVALID_CURSOR


@pytest.fixture(scope="module")
def store(server: Server) -> Iterator[ClientStore]:
    made = open_store(server.endpoint())
    yield made
    made.close()


def test_everything_that_a_server_takes_is_told_once(server: Server, store: ClientStore) -> None:
    """While requests come from several clients at once, late ones among them; asked as the user who only reads."""
    reading = Desk(store, limiter=None).reading("tester")
    cursor: str | None = begun(reading)
    chance = [0, 60, 86_400 * 3, 5, 86_400 * 20]

    def send(client: int) -> None:
        for number in range(8):
            at = time.time() - chance[(client + number) % len(chance)]
            body = logs(
                [
                    event(
                        at,
                        "tool_result",
                        session__id=f"{client}-{number}-{part}",
                        tool_name="Bash",
                        success=True,
                    )
                    for part in range(3)
                ]
            )
            assert server.post("logs", body).status_code == 200

    found: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(send, client) for client in range(4)]
        while not all(client.done() for client in clients):
            names, cursor = rest(reading, cursor)
            found += names
        for client in clients:
            client.result()
    names, cursor = rest(reading, cursor)
    found += names
    assert sorted(found) == sorted(f"{a}-{b}-{c}" for a in range(4) for b in range(8) for c in range(3))


def test_a_waiting_call_leaves_the_server_free(server: Server, store: ClientStore) -> None:
    """It returns when something arrives, and no query runs while it waits."""
    reading = Desk(store, limiter=None).reading("tester")
    cursor = begun(reading)
    waiting, sent = threading.Event(), threading.Event()

    def pause(seconds: float) -> None:
        waiting.set()
        sent.wait(seconds)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(tail_telemetry, reading, cursor, 20, pause=pause)
        assert waiting.wait(180)
        body = logs([event(time.time(), "tool_result", session__id="one", tool_name="Bash", success=True)])
        assert server.post("logs", body).status_code == 200
        sent.set()
        assert sessions(asked.result(30)) == ["one"]
