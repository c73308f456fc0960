"""A little of every fault, with a fixed seed; `python -m tests.faults --full` is all of it (docs/reliability.md)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import clock, disk, kills, network
from tests.faults.ledger import Ledger, Sent, Stored, Verdict
from tests.faults.outage import outages
from tests.faults.report import Line
from tests.faults.soak import soak
from tests.faults.stage import Stage, staged

SECONDS = 0.6
SEED = 1
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Set one stage for all; each test counts what it sent itself."""
    with staged(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


def kept(line: Line) -> None:
    """Check the promises under a fault; many records must have been sent, or the check proves nothing."""
    assert line.is_kept, line
    assert line.verdict.acknowledged > 0, line


def test_what_is_lost_or_there_twice_is_noticed() -> None:
    """A harness that never finds anything proves nothing."""
    ledger = Ledger({
        1: Sent(5, attempts=1, acknowledged=True),
        2: Sent(5, attempts=2, acknowledged=True),
        3: Sent(5, attempts=1, acknowledged=False),
        4: Sent(5, attempts=1, acknowledged=True),
    })  # fmt: skip
    stored = {1: Stored(4, 4), 2: Stored(10, 5), 3: Stored(2, 2), 4: Stored(7, 5)}
    assert ledger.compare(stored) == Verdict(sent=20, acknowledged=15, stored=16, lost=1, twice=7, beyond=2)
    assert not Line("", 1, ledger.compare(stored)).is_kept
    assert Line("", 1, Verdict(5, 5, 4, 1, 0, 0), foreseen=1).is_kept


def test_faults_of_the_network(stage: Stage) -> None:
    """Refused, reset, no answer, cut before, in and after the insert, slow, errors, garbage: none lost, none twice."""
    kept(network.all_together(stage, SECONDS))


@pytest.mark.parametrize(
    "fault",
    [
        *([disk.read_only] if disk.is_root() else []),
        disk.not_allowed,
        disk.flipped,
        *([disk.full] if disk.is_root() else []),
        disk.bound,
    ],
)
def test_faults_of_the_disk(stage: Stage, fault: Callable[[Stage, float], Line]) -> None:
    """Clients are told, acknowledged records stay, and damaged files are set aside and counted."""
    kept(fault(stage, SECONDS))


def test_soak(stage: Stage) -> None:
    """All is stored once; memory, descriptors and threads are bounded."""
    soaked = soak(stage, 30_000)
    assert (soaked.spans, soaked.stored, soaked.twice) == (30_000, 30_000, 0)
    last = soaked.looks[-1]
    assert last.resident_bytes < 1 << 30
    assert last.descriptors < 300
    assert last.threads < 200


def test_sigkill_of_the_receiver(stage: Stage) -> None:
    """At random instants under load."""
    kept(kills.of_the_receiver(stage, kills.Rounds(2, SEED)))


def test_sigkill_of_the_server(stage: Stage) -> None:
    """At random instants under load."""
    kept(kills.of_the_server(stage, kills.Rounds(1, SEED)))


def test_a_host_name_that_does_not_resolve(stage: Stage) -> None:
    """Records that are acknowledged meanwhile wait."""
    kept(network.unknown_host(stage, SECONDS))


def test_a_clock_that_is_set(stage: Stage) -> None:
    """Back and forth, by days; a request that is resent over the restart is recognised at any time of the clock."""
    line = clock.stepped(stage, SECONDS)
    kept(line)
    assert line.verdict.twice == 0, line


def test_loss_of_power_at_every_instant(tmp_path: Path) -> None:
    """From any part of the spool's work that a file system kept, exactly the promised blocks are found."""
    ways, wrong = outages(tmp_path)
    assert (wrong, ways > 300) == ([], True)
