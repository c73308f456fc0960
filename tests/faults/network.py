"""Faults between the receiver and its ClickHouse: one after another under load, then all is well again."""

from collections.abc import Iterator, Sequence

from tests.faults.load import sending
from tests.faults.proxy import NETWORK, Fault
from tests.faults.report import Line
from tests.faults.stage import Play, Stage, pause


def each_apart(play: Play, seconds: float) -> Iterator[Line]:
    """Make each fault for some seconds and compare after each."""
    for fault in NETWORK:
        yield _strike(play, [fault], seconds, fault)


def all_together(play: Play, seconds: float) -> Line:
    """Make all faults one after another, each for some seconds, and compare once."""
    return _strike(play, NETWORK, seconds, "all faults of the network, in turn")


def unknown_host(stage: Stage, seconds: float) -> Line:
    """Start with a host that has no address: acknowledged blocks wait, until a start with a host that has one."""
    stage.kill()
    stage.start(CLICKHOUSE_URL="http://no-such-host.invalid:8123")
    with sending(stage):
        pause(seconds)
    waiting = stage.receiver.waiting
    stage.kill()
    stage.start()
    return Line("a host name that does not resolve", 1, stage.settle(), f"{waiting} blocks waited")


def _strike(play: Play, faults: Sequence[Fault], seconds: float, name: str) -> Line:
    """Let each fault strike all requests, and then half of them."""
    before = play.proxy.struck
    with sending(play):
        for fault in faults:
            for share in (1.0, 0.5):
                play.proxy.fail(fault, share)
                pause(seconds / 2)
        play.proxy.fail(Fault.NONE)
    return Line(name, max(len(faults), play.proxy.struck - before), play.settle())
