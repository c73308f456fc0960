"""Systems under test: recorded, stood in, and real where the environment names a program."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from connectors.contract import Adapter
from tests.connectors.replay import FILE, Exchanges, recording, replaying
from tests.connectors.subject import StandIn, Subject, found

RECORD = "TELEMETRY_TEST_RECORD"
"""Set by scripts/record_backends.py: the folder in which the answers of real programs are kept."""


@dataclass(frozen=True, slots=True)
class System:
    """A running system, and what is known of it."""

    subject: Subject
    url: str

    def adapter(self, timeout_seconds: float = 30.0) -> Adapter:
        """Open its adapter."""
        return self.subject.opened(self.url, timeout_seconds=timeout_seconds)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `system` on each of a subject's systems, and one that takes `subject` on each subject."""
    signal = getattr(metafunc.function, "signal", "")
    name = getattr(metafunc.function, "name", "")
    chosen = [
        one for one in found() if name in {"", one.name} and (not signal or getattr(one, signal) is not None)
    ]
    if "subject" in metafunc.fixturenames:
        metafunc.parametrize("subject", [pytest.param(one, id=one.name) for one in chosen])
    if "system" in metafunc.fixturenames:
        only_real = RECORD in os.environ
        params = [
            pytest.param((one, is_real), id=one.name + ("-real" if is_real else ""))
            for one in chosen
            for is_real in (False, True)
            if (one.program is not None if is_real else _has_answers(one) and not only_real)
        ]
        metafunc.parametrize("system", params, indirect=True, scope="session")


def _has_answers(subject: Subject) -> bool:
    return subject.stood_in is not None or (subject.recordings / FILE).exists()


@pytest.fixture(scope="session")
def stood_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[StandIn], str]]:
    """Run a stand-in until the end, whichever tests come back to it; two systems may have the same one."""
    with ExitStack() as stack:
        yield cache(lambda run: stack.enter_context(run(tmp_path_factory.mktemp("stood_in"))))


@pytest.fixture(scope="session")
def system(
    request: pytest.FixtureRequest,
    stood_in: Callable[[StandIn], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    """Run a system, once for all tests."""
    subject, is_real = request.param
    folder = tmp_path_factory.mktemp(subject.name)
    with ExitStack() as stack:
        if is_real:
            yield System(subject, _real(subject, folder, stack))
        elif subject.stood_in is not None:
            yield System(subject, stood_in(subject.stood_in))
        else:
            exchanges = Exchanges.load(subject.recordings)
            yield System(subject, stack.enter_context(replaying(exchanges, subject.ignored)))
            assert exchanges.unknown == [], "run scripts/record_backends.py again"


def _real(subject: Subject, folder: Path, stack: ExitStack) -> str:
    assert subject.started is not None
    assert subject.program is not None
    url = stack.enter_context(subject.started(subject.program, folder))
    if RECORD not in os.environ:
        return url
    exchanges = Exchanges()
    stack.callback(lambda: exchanges.save(Path(os.environ[RECORD]) / subject.name))
    return stack.enter_context(recording(url, exchanges, subject.ignored, subject.scrubbed))
