"""Work beside other work: begun at once, waited for where its result is wanted, raised there."""

from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event, current_thread
from typing import Any

import pytest

from access.beside import MOST, beside
from access.library import ask_question, run_sql
from access.patterns import analyze_patterns
from access.reading import Desk, Reading
from access.refusal import Code, Refusal
from access.store import Rows
from clickhouse.engine import Engine
from tests.engine_store import EngineStore
from tests.events import Tables, event, logs, tables
from tests.server import eventually

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def made(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as found:
        at = (NOW - timedelta(minutes=3)).timestamp()
        failed = event(
            at, "tool_result", tool_name="Bash", success="false", error="Command failed with exit code 1"
        )
        found.store("otel_logs", logs([failed]))
        yield found


class Meeting(EngineStore):
    """Answers a statement when another has come too."""

    barrier: Barrier

    def rows(self, sql: str, *arguments: Any, **named: Any) -> Rows:
        self.barrier.wait(timeout=60)
        return EngineStore.rows(self, sql, *arguments, **named)


def test_both_works_go_on_at_the_same_time() -> None:
    """Each waits for the other here."""
    barrier = Barrier(2)
    other = beside(lambda: barrier.wait(timeout=60))
    assert {barrier.wait(timeout=60), other()} == {0, 1}


def test_it_knows_who_asks() -> None:
    """What the caller's context says is known in the thread."""
    caller: ContextVar[str] = ContextVar("caller")
    caller.set("somebody")
    assert beside(caller.get)() == "somebody"


def test_it_fails_where_it_is_waited_for() -> None:
    """Nothing is raised before."""

    def fail() -> None:
        raise Refusal(Code.TIMEOUT, "too long")

    work = beside(fail)
    for _ in range(2):
        with pytest.raises(Refusal, match="too long"):
            work()


def test_where_many_are_at_work_it_waits_until_it_is_wanted() -> None:
    """It is done once, in its caller's thread, and others begin again when those have ended."""
    end = Event()
    busy = [beside(lambda: end.wait(timeout=60)) for _ in range(MOST)]
    done: list[str] = []
    late = beside(lambda: done.append(current_thread().name))
    assert done == []
    late()
    late()
    assert done == [current_thread().name]
    end.set()
    assert all(work() for work in busy)
    eventually(lambda: beside(lambda: current_thread().name)() == "beside")


def test_an_answer_and_what_is_to_be_said_of_it_are_asked_at_once(made: Tables) -> None:
    """A question with needs and a pattern are three statements, a person's own is two, and none waits for another."""

    def meeting(statements: int) -> Reading:
        store = Meeting(made.engine)
        store.barrier = Barrier(statements)
        return Desk(store, limiter=None).reading("tester")

    asked = ask_question(meeting(3), "error_samples")
    assert len(asked.rows) == 1
    assert asked.freshness == run_sql(meeting(2), "SELECT 1").freshness
    assert analyze_patterns(meeting(3), "error_patterns", "1h").completeness == 1.0
