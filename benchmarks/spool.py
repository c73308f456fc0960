"""Measures the cost of keeping blocks on disk: `python -m benchmarks.spool`.

Each figure is of a server as a real process under the load of benchmarks.load: spans per CPU-second with the ClickHouse
server up (a sink that discards) and down (a port without a listener); and a start that finds a gigabyte waiting:
when it is ready, and when all of that is in the sink, alone and beside new data. It prints the Markdown that
docs/reliability.md contains.
"""

import argparse
import re
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from statistics import median

from benchmarks import servers
from benchmarks.ingest import LARGE, Bench, machine
from benchmarks.servers import Server

PATIENCE_SECONDS = 900
MIB = 1 << 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8, help="of load in each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each server")
    parser.add_argument("--megabytes", type=int, default=1024, help="that wait for the restart")
    options = parser.parse_args()
    print(machine())
    print(f"\nCommand: `{' '.join(['python -m benchmarks.spool', *sys.argv[1:]])}`\n")
    with tempfile.TemporaryDirectory(prefix="benchmark-spool-") as name:
        bench = Bench(Path(name), options.seconds, options.rounds)
        with servers.discarding_sink(bench.directory / "sink") as sink:
            bench.sink = sink
            waiting = compare(bench)
            for beside in (False, True):
                recover(bench, waiting, options.megabytes, with_load=beside)
        for failure in bench.failures:
            print(f"\nFailed: {failure}")


def compare(bench: Bench) -> Path:
    """Measure with the sink up and down, in turn. Return the data directory in which the blocks wait."""
    nobody = Server("nobody", bench.sink.process, "127.0.0.1:1", bench.directory)
    figures: dict[str, list[float]] = {"up": [], "down": []}
    rates: dict[str, list[float]] = {"up": [], "down": []}
    down_directory = bench.directory / "down"
    with servers.ours(bench.directory / "up", bench.sink) as up, servers.ours(down_directory, nobody) as down:
        for _ in range(bench.rounds):
            for name, server in (("up", up), ("down", down)):
                result = bench.load(server, "traces", LARGE)
                figures[name].append(result.items_per_cpu_second)
                rates[name].append(result.items / result.seconds)
    print("| ClickHouse | spans per CPU-second | spans a second | ratio |\n|---|---|---|---|")
    for name in ("up", "down"):
        figure, rate = median(figures[name]), median(rates[name])
        print(f"| {name} | {figure:,.0f} | {rate:,.0f} | {figure / median(figures['up']):.2f} |", flush=True)
    print()
    return down_directory / "data"


def recover(bench: Bench, waiting: Path, megabytes: int, *, with_load: bool) -> None:
    """Start over a spool of so many bytes. Print the time until the server is ready, and until nothing waits."""
    directory = bench.directory / f"recovering-{with_load}"
    size, records = fill(
        directory / "data" / "spool" / "batches", waiting / "spool" / "batches", megabytes * MIB
    )
    begun = time.monotonic()
    with servers.ours(directory, bench.sink) as server:
        ready = time.monotonic() - begun
        loads: list[float] = []
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                result = bench.load(server, "traces", LARGE)
                loads.append(result.items / result.seconds)

        thread = threading.Thread(target=load)
        if with_load:
            thread.start()
        while metric(server, "telemetry_waiting_blocks"):
            if time.monotonic() - begun > PATIENCE_SECONDS:
                bench.failures.append("the waiting blocks were not inserted in time")
                break
            time.sleep(0.2)
        spent = time.monotonic() - begun - ready
        stop.set()
        if with_load:
            thread.join()
    beside = f", beside new data at {median(loads):,.0f} spans a second" if loads else ", with no new data"
    print(
        f"* {size / MIB:,.0f} MiB with {records:,} spans waiting{beside}: ready after {ready:.1f} s, all in the"
        f" sink {spent:.1f} s later: {records / spent:,.0f} spans and {size / spent / MIB:,.0f} MiB a second",
        flush=True,
    )


def fill(target: Path, source: Path, least: int) -> tuple[int, int]:
    """Copy waiting batches under new names until there are so many bytes. Return the bytes and spans."""
    batches = sorted(path for path in source.iterdir() if path.suffix not in {".tmp", ".open"})
    size = records = number = 0
    target.mkdir(parents=True)
    while size < least:
        batch = batches[number % len(batches)]
        number += 1
        shutil.copytree(batch, target / f"{number:019d}-{number:08x}{batch.suffix}")
        for block in batch.glob("*.block"):
            size += block.stat().st_size
            with block.open("rb") as file:
                records += int(re.findall(rb'"records":(\d+)', file.read(1024))[0])
    return size, records


def metric(server: Server, name: str) -> float:
    """Sum a metric's samples."""
    address = servers.listening(server)["metrics"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


if __name__ == "__main__":
    main()
