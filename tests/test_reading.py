"""What all answers share: how new the newest event is."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from access.answer import Freshness, Range
from access.reading import Desk
from clickhouse.engine import Engine
from tests.engine_store import EngineStore
from tests.events import Tables, event, logs, tables

NOW = datetime(2026, 10, 15, 12, tzinfo=UTC)
FUTURE = datetime(2101, 1, 1, tzinfo=UTC)


@pytest.fixture
def empty(engine: Engine) -> Iterator[Tables]:
    with tables(engine) as made:
        yield made


def newest(made: Tables) -> tuple[datetime | None, int]:
    """Return the newest event's time, and how many statements were asked for it."""
    store = EngineStore(made.engine)
    reading = Desk(store, limiter=None, clock=lambda: NOW).reading("tester")
    return reading.freshness().newest, len(store.asked)


def test_the_newest_event_is_known_from_the_parts(empty: Tables) -> None:
    """One statement, however old it is; none without events."""
    assert newest(empty) == (None, 1)
    old = NOW - timedelta(days=40)
    empty.store("otel_logs", logs([event(old.timestamp(), "note")]))
    assert newest(empty) == (old, 1)


@pytest.mark.parametrize("age", [timedelta(minutes=1), timedelta(days=40)], ids=str)
def test_an_event_of_a_clock_in_the_future_is_not_the_newest(empty: Tables, age: timedelta) -> None:
    """The newest of the others is, also when all of them are old."""
    past = NOW - age
    empty.store("otel_logs", logs([event(FUTURE.timestamp(), "note"), event(past.timestamp(), "note")]))
    assert newest(empty)[0] == past


def test_freshness_comes_with_completeness(empty: Tables) -> None:
    """One statement, also for a period that has no event."""
    past = NOW - timedelta(minutes=3)
    incomplete = event((past - timedelta(minutes=1)).timestamp(), "api_request", duration_ms="long")
    empty.store("otel_logs", logs([event(past.timestamp(), "note"), incomplete]))
    hour = timedelta(hours=1)
    for end, share in ((NOW, 0.5), (NOW - hour, None)):
        store = EngineStore(empty.engine)
        reading = Desk(store, limiter=None, clock=lambda: NOW).reading("tester")
        about = Range(end - hour, end), False
        assert reading.freshness_and_completeness(about) == (Freshness(past, 180), share)
        assert len(store.asked) == 1


def test_completeness_passes_over_a_clock_in_the_future(empty: Tables) -> None:
    """Its event counts, and is not the newest."""
    newest_of_past = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    future = newest_of_past + timedelta(hours=3)
    empty.store("otel_logs", logs([event(one.timestamp(), "note") for one in (newest_of_past, future)]))
    reading = Desk(EngineStore(empty.engine), limiter=None).reading("tester")
    about = (Range(newest_of_past - timedelta(hours=1), future + timedelta(hours=1)), True)
    freshness, completeness = reading.freshness_and_completeness(about)
    assert (freshness.newest, completeness) == (newest_of_past, 1.0)
