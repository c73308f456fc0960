"""How often callers may ask, and what is kept for them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from access.cache import Cache, lifetime, weight
from access.limits import Limiter
from access.refusal import Code, Refusal


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def taken(limiter: Limiter, caller: str = "one", most: int = 100) -> int:
    """Count how many questions a caller may ask in a row."""
    for number in range(most):
        try:
            limiter.take(caller)
        except Refusal:
            return number
    return most


def test_a_caller_may_ask_ten_in_a_row_and_ten_a_minute() -> None:
    """And is told when to ask again."""
    clock = Clock()
    limiter = Limiter(clock=clock)
    assert taken(limiter) == 10
    with pytest.raises(Refusal) as caught:
        limiter.take("one")
    assert caught.value.code == Code.RATE_LIMITED
    wait = caught.value.retry_after_seconds
    assert wait == pytest.approx(6, abs=0.1)
    clock.now += wait
    assert taken(limiter) == 1
    clock.now += 3600
    assert taken(limiter) == 10


def test_callers_do_not_share() -> None:
    """One who asks too much takes nothing from another."""
    limiter = Limiter(60, 3, Clock())
    assert [taken(limiter), taken(limiter, "two")] == [3, 3]


def test_callers_at_the_same_time_get_no_more() -> None:
    """A bucket is counted under a lock."""
    limiter = Limiter(1, 50, Clock())
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: taken(limiter, most=30), range(8))) == 50


def test_what_is_kept_expires_and_says_its_age() -> None:
    """After the cache's time, or the entry's own."""
    clock = Clock()
    cache = Cache(300, 1 << 20, clock)
    assert cache.make("a", lambda: "first").age_seconds is None
    clock.now += 20
    assert (cache.make("a", lambda: "second").value, cache.make("a", lambda: "").age_seconds) == ("first", 20)
    cache.make("b", lambda: "short", seconds=5)
    clock.now += 6
    assert cache.get("b") is None
    clock.now += 300
    assert cache.make("a", lambda: "second").value == "second"


def test_a_cache_is_bounded_by_bytes() -> None:
    """The oldest go, and what is larger than all of it is not kept."""
    cache = Cache(300, 50_000, Clock())
    for number in range(100):
        cache.make(str(number), lambda number=number: f"{number}" * 5_000)  # type: ignore[misc]
        assert cache.bytes <= 50_000
    assert cache.get("0") is None
    assert cache.get("99") is not None
    assert not cache.put("huge", "x" * 60_000)
    assert not Cache(0, 1 << 20).put("a", "x")
    assert weight({"a": ("x" * 1_000, ["y" * 1_000])}) > 2_000


def in_parallel(cache: Cache, make: Callable[[], str], callers: int = 6) -> list[str]:
    """Let callers ask for the same at the same time; what they get, or are told."""
    barrier = threading.Barrier(callers)

    def ask(_: int) -> str:
        barrier.wait(10)
        try:
            return str(cache.make("same", make).value)
        except ValueError as error:
            return f"failed: {error}"

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(ask, range(callers)))


def test_equal_questions_at_the_same_time_are_asked_once() -> None:
    """All get the one answer."""
    made: list[int] = []
    begun = threading.Event()

    def make() -> str:
        made.append(1)
        begun.wait(0.5)
        return "answer"

    assert in_parallel(Cache(300, 1 << 20), make) == ["answer"] * 6
    assert len(made) == 1


def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    """The next question is asked again."""
    begun = threading.Event()

    def fail() -> str:
        begun.wait(0.5)
        raise ValueError("away")

    cache = Cache(300, 1 << 20)
    assert set(in_parallel(cache, fail)) == {"failed: away"}
    assert cache.make("same", lambda: "back").value == "back"


def test_a_period_that_goes_on_is_kept_for_a_sixtieth_of_it() -> None:
    """So that an answer is no staler than a chart of the period would show."""
    hour = timedelta(hours=1)
    assert lifetime(hour, goes_on=False, seconds=300) == 300
    assert lifetime(hour, goes_on=True, seconds=300) == 60
    assert lifetime(hour * 24, goes_on=True, seconds=300) == 300
    assert lifetime(hour / 3600, goes_on=True, seconds=300) == 1
