"""What the client has to send for a question: known from the data, in as few rows as it takes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from access.needs import NEEDS, lacking
from clickhouse.engine import Engine
from tests.engine_store import EngineStore
from tests.events import Tables, event, logs, tables

NOON = datetime(2026, 10, 15, 12, tzinfo=UTC).timestamp()
DAY = {"from": "2026-10-15 00:00:00", "to": "2026-10-16 00:00:00"}


@pytest.fixture
def made(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as found:
        yield found


def sentences(made: Tables, *needs: str, **values: str) -> tuple[list[str], int]:
    """Return what the needs that are not met say, and how many statements were asked."""
    store = EngineStore(made.engine)

    def ask(sql: str, bound: Mapping[str, str]) -> Sequence[Sequence[Any]]:
        return store.rows(sql, bound).rows

    lacks = lacking(needs or tuple(NEEDS), DAY | values, ask)
    return [lack.sentence.partition(" needs ")[0] for lack in lacks], len(store.asked)


def calls(with_details: int, without: int, **attributes: str) -> bytes:
    details = [{"tool_input.command": "ls"}] * with_details + [{}] * without
    return logs(
        [
            event(NOON + number, "tool_result", tool_name="Bash", **attributes, **detail)
            for number, detail in enumerate(details)
        ]
    )


def test_nothing_lacks_where_nothing_happened(made: Tables) -> None:
    """Without any telemetry, what was not sent could not have been."""
    assert sentences(made) == ([], 4)


def test_what_was_not_sent_is_named(made: Tables) -> None:
    """Events alone: neither metrics nor traces, and of the calls none has its details."""
    made.store("otel_logs", calls(0, 3))
    assert sentences(made)[0] == [
        "Commits, pull requests, lines of code, active time:",
        "Steps of a prompt, requests that were tried again, the time to the first token, waits for permission:",
        "The texts of errors, programs, repeated calls, names of MCP servers:",
    ]
    assert sentences(made, "events") == ([], 1)
    assert sentences(made, "events", "tool-details")[1] == 1
    assert sentences(made, **{"from": "2026-10-15 13:00:00"})[0] == []


def test_details_of_some_calls_are_counted(made: Tables) -> None:
    """Up to nine of ten some clients do not send them; of one team, its own calls count."""
    made.store("otel_logs", calls(9, 1, **{"team.id": "one"}), calls(19, 0, **{"team.id": "two"}))
    assert sentences(made, "tool-details") == ([], 1)
    (lack,) = sentences(made, "tool-details", team="one")[0]
    assert lack.endswith(" sent with 9 of 10 tool calls;")
    assert sentences(made, "tool-details", team="two")[0] == []


def test_a_session_is_asked_about_itself(made: Tables) -> None:
    """Whenever it was: neither what others sent counts, nor another time; without an id, the latest."""
    made.store("otel_logs", calls(1, 3, **{"session.id": "bare"}), calls(5, 0, **{"session.id": "detailed"}))
    later = {"from": "2026-11-15 00:00:00", "to": "2026-11-16 00:00:00"}
    (lack,) = sentences(made, "tool-details", session="bare", **later)[0]
    assert lack.endswith(" sent with 1 of 4 tool calls;")
    assert sentences(made, "tool-details", session="detailed", **later) == ([], 2)
    assert sentences(made, "tool-details", session="", **later) == ([], 2)
    assert sentences(made, "tool-details", session="none", **later) == ([], 2)


def test_points_say_nothing_of_a_part(made: Tables) -> None:
    """They are counted whole: a team without events lacks none because others sent metrics."""
    made.engine.command(
        "INSERT INTO otel_metrics_sum (TimeUnix, MetricName)"
        " SELECT toDateTime64({at:Int64}, 9, 'UTC'), 'claude_code.x'",
        {"at": int(NOON)},
    )
    assert sentences(made, "events")[0] == ["Requests, tool calls and errors:"]
    assert sentences(made, "events", team="one")[0] == []
