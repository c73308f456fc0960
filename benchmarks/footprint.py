"""Measures what the server takes without clients: `python -m benchmarks.footprint [--settle 180] [--seconds 30]`.

Ours, embedded, with and without its web process, and rotel are started one after the other, left alone until what
their start began has ended, and watched: the CPU time and the bytes read of the start, the share of a core and the
wake-ups a second at rest, by thread, and the resident memory. Child processes count.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.ingest import machine, verdict
from benchmarks.servers import Server, StartError, discarding_sink, ours, rotel

TARGET_SHARE: Final = 0.004
TARGET_MIB: Final = 220
TARGET_START: Final = 3.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one server took."""

    name: str
    start_cpu_seconds: float
    start_read_mib: float
    """Read by system calls; mapped pages do not count."""
    share: float
    """Of one core, at rest."""
    mib: float
    wakes: dict[str, float]
    """A second, by the thread's name."""


def main() -> int:
    """Run the comparison, and return 0 when every target is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settle", type=float, default=180, help="seconds from ready to the first look")
    parser.add_argument("--seconds", type=float, default=30, help="seconds watched")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="telemetry-footprint-") as folder:
        base = Path(folder)
        with discarding_sink(base / "sink") as sink:
            starters: dict[str, Callable[[], AbstractContextManager[Server]]] = {
                "ours": partial(ours, base / "ours", None),
                "ours, with the page": partial(ours, base / "page", None, TELEMETRY_WEB_PORT="0"),
                "rotel": partial(rotel, base / "rotel", sink),
            }
            found = []
            for name, start in starters.items():
                try:
                    with start() as server:
                        found.append(_watch(name, server.process.pid, arguments.settle, arguments.seconds))
                except StartError as error:
                    print(f"{name} is left out: {error}")
    print(machine())
    print(f"At rest, {arguments.settle:g} s after the start, over {arguments.seconds:g} s\n")
    print("| server | start, CPU-s | start, MiB read | % of a core | wake-ups/s | MiB resident |")
    print("|---|---|---|---|---|---|")
    for one in found:
        print(
            f"| {one.name} | {one.start_cpu_seconds:.2f} | {one.start_read_mib:.0f} | {100 * one.share:.2f}"
            f" | {sum(one.wakes.values()):.0f} | {one.mib:.0f} |"
        )
    mine = found[0]
    most = sorted(mine.wakes.items(), key=lambda item: -item[1])[:8]
    print("\nWake-ups a second, ours:", ", ".join(f"{name} {number:.1f}" for name, number in most))
    met = [
        (mine.share <= TARGET_SHARE, f"at most {TARGET_SHARE:.1%} of a core at rest"),
        (mine.mib <= TARGET_MIB, f"at most {TARGET_MIB} MiB at rest"),
        (mine.start_cpu_seconds <= TARGET_START, f"at most {TARGET_START:g} CPU-seconds to start"),
    ]
    for holds, target in met:
        print(verdict(holds, target))
    return 0 if all(holds for holds, _ in met) else 1


def _watch(name: str, parent: int, settle: float, seconds: float) -> Footprint:
    started = _cpu_seconds(parent)
    read = sum(_read_bytes(pid) for pid in _family(parent)) / 2**20
    time.sleep(settle)
    cpu, wakes = _cpu_seconds(parent), _wakes(parent)
    time.sleep(seconds)
    share = (_cpu_seconds(parent) - cpu) / seconds
    by_thread: dict[str, float] = defaultdict(float)
    for thread, (thread_name, count) in _wakes(parent).items():
        by_thread[thread_name] += (count - wakes.get(thread, ("", 0))[1]) / seconds
    mib = sum(_resident_kib(pid) for pid in _family(parent)) / 1024
    return Footprint(name, started, read, share, mib, by_thread)


def _family(parent: int) -> list[int]:
    """Return a process and its children, of every depth."""
    below = [
        int(pid)
        for children in Path(f"/proc/{parent}/task").glob("*/children")
        for pid in children.read_text().split()
    ]
    return [parent, *(pid for child in below for pid in _family(child))]


def _cpu_seconds(parent: int) -> float:
    """Return the CPU time of a family so far."""
    return (
        sum(
            int(field)
            for pid in _family(parent)
            for field in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        )
        / _TICKS
    )


def _wakes(parent: int) -> dict[int, tuple[str, int]]:
    """Return each thread's name and how often it slept of its own accord."""
    found = {}
    for pid in _family(parent):
        for task in Path(f"/proc/{pid}/task").iterdir():
            status = dict(
                line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line
            )
            found[int(task.name)] = status["Name"].strip(), int(status["voluntary_ctxt_switches"])
    return found


def _read_bytes(pid: int) -> int:
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["rchar"])


def _resident_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


if __name__ == "__main__":
    raise SystemExit(main())
