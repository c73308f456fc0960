"""Runs the faults and writes a report: `python -m tests.faults --help`.

python -m tests.faults                   a few of each, as the tests do
python -m tests.faults --full            200 kills of each, every fault apart, 10 million spans
python -m tests.faults --full --peer     the same of rotel, where it has a meaning
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults import clock, disk, kills, network, peer
from tests.faults.outage import outages
from tests.faults.report import Line, table
from tests.faults.soak import Soaked, soak
from tests.faults.stage import Stage, staged

_FULL = argparse.Namespace(kills=200, seconds=10.0, spans=10_000_000)
_SMALL = argparse.Namespace(kills=2, seconds=2.0, spans=100_000)
_BAR = 30
# The tenth of each play that was told of last.
_TOLD: dict[str, int] = {}


def main() -> int:
    """Run what is asked for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description="Break things, and count records."
    )
    parser.add_argument("--full", action="store_true", help="everything, which takes hours")
    parser.add_argument("--peer", action="store_true", help="of rotel, in place of ours")
    parser.add_argument("--only", nargs="*", metavar="NAME", help=f"of {', '.join(PLAYS)}")
    parser.add_argument("--kills", type=int, help="how many of each kind")
    parser.add_argument("--kill-minutes", type=float, default=1e9, help="at most, for each kind of kills")
    parser.add_argument("--seconds", type=float, help="how long each fault lasts")
    parser.add_argument("--spans", type=int, help="how many to soak with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="write it here as well")
    asked = parser.parse_args()
    # So that the processes of a stage go with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    for name, value in vars(_FULL if asked.full else _SMALL).items():
        if getattr(asked, name) is None:
            setattr(asked, name, value)
    lines: list[str] = []
    is_kept = True
    results: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        for name in asked.only or (PEERS if asked.peer else PLAYS):
            for found in PLAYS[name](asked, Path(folder) / name):
                _clear()
                if isinstance(found, Line):
                    results.append(found)
                    is_kept &= found.is_kept
                else:
                    lines.append(found)
                print(table([found]).splitlines()[-1] if isinstance(found, Line) else found, flush=True)
    report = "\n\n".join([*([table(results)] if results else []), *lines])
    print(f"\n{report}\n")
    if asked.report:
        asked.report.write_text(f"{report}\n")
    return 0 if is_kept else 1


def _network(asked: argparse.Namespace, folder: Path) -> Iterator[Line]:
    with (peer.staged if asked.peer else staged)(folder) as play:
        if asked.full:
            yield from network.each_apart(play, asked.seconds)
        else:
            yield network.all_together(play, asked.seconds)


def _kills(kill: Callable[..., Line], name: str, asked: argparse.Namespace, folder: Path) -> Iterator[Line]:
    with (peer.staged if asked.peer else staged)(folder) as play:
        yield kill(play, kills.Rounds(asked.kills, asked.seed, 60 * asked.kill_minutes, partial(_show, name)))


def _alone(fault: Callable[[Stage, float], Line], asked: argparse.Namespace, folder: Path) -> Iterator[Line]:
    with staged(folder) as stage:
        yield fault(stage, asked.seconds)


def _disk(asked: argparse.Namespace, folder: Path) -> Iterator[Line]:
    with staged(folder) as stage:
        for fault in (
            *((disk.full, disk.read_only) if disk.is_root() else ()),
            disk.not_allowed,
            disk.flipped,
            disk.bound,
        ):
            yield fault(stage, asked.seconds)


def _outages(_: argparse.Namespace, folder: Path) -> Iterator[str]:
    ways, wrong = outages(folder)
    yield f"Loss of power: {ways} ways to cut it, {len(wrong)} with something wrong." + "".join(
        f"\n* {one}" for one in wrong[:20]
    )
    if wrong:
        raise SystemExit("A promise was broken.")


def _soak(asked: argparse.Namespace, folder: Path) -> Iterator[str]:
    with staged(folder) as stage:
        yield _told_of(soak(stage, asked.spans, partial(_show, "soak")))


def _told_of(soaked: Soaked) -> str:
    early, late = soaked.steady()
    return (
        f"Soak: {soaked.spans:,} spans in {soaked.seconds:,.0f} s, {soaked.stored:,} stored, {soaked.twice:,} twice."
        f" At most held in the second quarter and in the last: {early.resident_bytes >> 20:,} and"
        f" {late.resident_bytes >> 20:,} MiB, {early.descriptors} and {late.descriptors} descriptors,"
        f" {early.threads} and {late.threads} threads."
    )


PLAYS: dict[str, Callable[[argparse.Namespace, Path], Iterator[Line | str]]] = {
    "network": _network,
    "host": partial(_alone, network.unknown_host),
    "receiver-kills": partial(_kills, kills.of_the_receiver, "receiver-kills"),
    "server-kills": partial(_kills, kills.of_the_server, "server-kills"),
    "disk": _disk,
    "clock": partial(_alone, clock.stepped),
    "power": _outages,
    "soak": _soak,
}
PEERS = ("network", "receiver-kills", "server-kills")


def _show(name: str, done: int, of: int) -> None:
    """Draw a bar on a terminal, and a line every tenth elsewhere."""
    full = _BAR * done // max(1, of)
    text = f"{time.strftime('%H:%M:%S')} {name} [{'#' * full}{'.' * (_BAR - full)}] {done:,} of {of:,}"
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text}")
    elif (tenth := 10 * done // max(1, of)) != _TOLD.get(name):
        _TOLD[name] = tenth
        sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _clear() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")


if __name__ == "__main__":
    sys.exit(main())
