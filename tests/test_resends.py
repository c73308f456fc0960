"""Requests known again by their content: for a time, over restarts, within a bound."""

import time
from pathlib import Path

import pytest

from otlp.signals import Signal
from receiver.resends import Resends

BODY = b"a request"


def opened(log: Path, seconds: float = 900, most: int = 100_000) -> Resends:
    made = Resends(seconds, log, most)
    made.open()
    return made


def test_a_name_is_of_the_content_and_the_signal() -> None:
    """Equal requests have one name, others have others."""
    resends = Resends(900)
    name = resends.name(Signal.LOGS, BODY)
    assert len(name) == 16
    assert Resends(900).name(Signal.LOGS, bytes(BODY)) == name
    assert resends.name(Signal.TRACES, BODY) != name
    assert resends.name(Signal.LOGS, BODY + b"\0") != name


def test_what_was_stored_is_known_over_a_restart(tmp_path: Path) -> None:
    """By the log alone; a request that was not recorded is not known."""
    log = tmp_path / "log"
    before = opened(log)
    names = [before.name(Signal.LOGS, b"%d" % number) for number in range(3)]
    before.record(names[:2])
    before.learn(names[:2])
    assert [before.knows(name) for name in names] == [True, True, False]
    after = opened(log)
    assert [after.knows(name) for name in names] == [True, True, False]
    assert log.stat().st_mode & 0o777 == 0o600
    before.close()
    after.close()


def test_a_torn_log_loses_its_last_entry_alone(tmp_path: Path) -> None:
    """A loss of power may cut it anywhere."""
    log = tmp_path / "log"
    resends = opened(log)
    names = [resends.name(Signal.LOGS, b"%d" % number) for number in range(3)]
    resends.record(names)
    resends.close()
    log.write_bytes(log.read_bytes()[:-5])
    resends = opened(log)
    assert [resends.knows(name) for name in names] == [True, True, False]
    resends.close()


def test_after_its_time_a_request_is_new_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory and in the log."""
    log = tmp_path / "log"
    resends = opened(log, seconds=100)
    name = resends.name(Signal.LOGS, BODY)
    resends.record([name])
    resends.learn([name])
    now, monotonic = time.time(), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: monotonic + 101)
    monkeypatch.setattr(time, "time", lambda: now + 101)
    assert not resends.knows(name)
    resends.close()
    resends = opened(log, seconds=100)
    assert not resends.knows(name)
    assert log.stat().st_size == 0
    resends.close()


@pytest.mark.parametrize("days", [-30, 30])
def test_a_clock_that_is_set_makes_nothing_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Before the restart or after it; otherwise what was stored and not heard of would be stored again."""
    log = tmp_path / "log"
    resends = opened(log)
    names = [resends.name(Signal.LOGS, b"%d" % number) for number in range(2)]
    resends.record(names[:1])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + days * 86_400)
    resends.record(names[1:])
    resends.close()
    for _ in range(2):
        resends = opened(log)
        assert [resends.knows(name) for name in names] == [True, True]
        resends.close()
        monkeypatch.setattr(time, "time", lambda: now)


def test_a_monotonic_clock_that_begins_anew_makes_nothing_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does with the machine; at worst a request is known for its time once more."""
    log = tmp_path / "log"
    resends = opened(log, seconds=100)
    name = resends.name(Signal.LOGS, BODY)
    resends.record([name])
    resends.close()
    now = time.time()
    for monotonic, is_known in ((5.0, True), (106.0, False)):
        monkeypatch.setattr(time, "monotonic", lambda at=monotonic: at)
        monkeypatch.setattr(time, "time", lambda at=monotonic: now + 45 + at)
        resends = opened(log, seconds=100)
        assert resends.knows(name) == is_known
        resends.close()


def test_the_newest_are_kept_within_the_bound(tmp_path: Path) -> None:
    """In memory, and in the log, which is rewritten when it is twice as long."""
    log = tmp_path / "log"
    resends = opened(log, most=10)
    names = [resends.name(Signal.LOGS, b"%d" % number) for number in range(50)]
    for name in names:
        resends.record([name])
        resends.learn([name])
    assert [resends.knows(name) for name in names] == [False] * 40 + [True] * 10
    assert log.stat().st_size <= 32 * 21
    resends.close()
    resends = opened(log, most=10)
    assert [resends.knows(name) for name in names] == [False] * 40 + [True] * 10
    resends.close()


def test_nothing_is_known_when_it_is_turned_off(tmp_path: Path) -> None:
    """And nothing is written."""
    resends = opened(tmp_path / "log", seconds=0)
    assert resends.name(Signal.LOGS, BODY) == b""
    resends.learn([b""])
    resends.record([b""])
    assert not resends.knows(b"")
    assert list(tmp_path.iterdir()) == []
