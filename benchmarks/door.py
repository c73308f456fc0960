"""What reading over the ClickHouse interface costs: `python -m benchmarks.door`.

Three comparisons, each in one run: a small query over HTTP beside the same query called in the engine directly; a
result of a gigabyte over HTTP beside the engine writing it to nowhere; and the latency of ingest with heavy readers
beside that without. The direct engine runs in this process, the server in its own. Figures are medians over rounds
that alternate.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import chdb
import httpx
from chdb.state.sqlitelike import Connection

from benchmarks import servers
from benchmarks.ingest import LARGE, Bench, machine
from benchmarks.load import cpu_seconds
from clickhouse.engine import CONFIG

SMALL = "SELECT number, toString(number) FROM numbers(10)"
LARGE_RESULT = "SELECT number, toString(number) AS text FROM numbers(60000000)"
HEAVY = "SELECT uniqExact(cityHash64(number, toString(number))) FROM numbers(100000000000)"
READERS = 4
RATE = 5_000


def main() -> int:
    """Run all comparisons and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of load in each measurement")
    options = parser.parse_args()
    print(machine())
    print(f"\nCommand: `{' '.join(['python -m benchmarks.door', *sys.argv[1:]])}`")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory, ExitStack() as stack:
        bench = Bench(Path(directory), options.seconds, options.rounds)
        server = stack.enter_context(bench.start("ours-embedded"))
        door = Door(server)
        connection = chdb.connect(f":memory:?config-file={CONFIG}")
        small_queries(door, connection, options.rounds, options.seconds)
        large_result(door, connection, options.rounds)
        connection.close()
        heavy_readers(bench, server, door, options.rounds)
    return 0


class Door:
    """The interface of a running server, as its reader and as its writer."""

    def __init__(self, server: servers.Server) -> None:
        lines = (server.directory / "data" / "credentials.env").read_text().splitlines()
        passwords = dict(line.split("=", 1) for line in lines)
        self.pid = server.process.pid
        self.url = f"http://{servers.listening(server)['clickhouse_http']}/"
        self.reader = ("telemetry_reader", passwords["TELEMETRY_READER_PASSWORD"])
        self.writer = ("telemetry_user", passwords["CLICKHOUSE_PASSWORD"])


def small_queries(door: Door, connection: Connection, rounds: int, seconds: float) -> None:
    """Measure a query that reads ten rows, again and again: over one kept connection, over four, and directly."""
    print("\n| small query | queries a second | p50 ms | p99 ms | server's CPU ms a query |")
    print("|---|---|---|---|---|")
    with httpx.Client(auth=door.reader, headers={"accept-encoding": "identity"}) as client:

        def over_http() -> None:
            client.post(door.url, content=SMALL).raise_for_status()

        def directly() -> None:
            connection.query(SMALL, "TabSeparated")

        over_http()
        found: dict[str, list[tuple[float, float, float, float]]] = {
            "over HTTP": [],
            "over HTTP, four clients": [],
            "in the engine": [],
        }
        for _ in range(rounds):
            found["over HTTP"].append(repeated(over_http, seconds, door.pid))
            found["over HTTP, four clients"].append(repeated(over_http, seconds, door.pid, threads=4))
            found["in the engine"].append(repeated(directly, seconds, None))
    medians = {
        way: [median(figures) for figures in zip(*results, strict=True)] for way, results in found.items()
    }
    for way, (rate, p50, p99, cpu) in medians.items():
        print(f"| {way} | {rate:,.0f} | {p50:.2f} | {p99:.2f} | {cpu:.2f} |")
    http, direct = medians["over HTTP"][1], medians["in the engine"][1]
    print(
        f"\nOver HTTP a query takes {http - direct:.2f} ms more than in the engine, {http / direct:.1f} times as long."
    )


def repeated(
    action: Callable[[], None], seconds: float, pid: int | None, threads: int = 1
) -> tuple[float, float, float, float]:
    """Call for some seconds; return calls a second, p50 and p99 in ms, and the process's CPU in ms a call."""
    taken: list[float] = []
    before, begun = cpu_seconds(pid) if pid else time.process_time(), time.monotonic()

    def loop() -> None:
        while time.monotonic() - begun < seconds:
            start = time.monotonic()
            action()
            taken.append(time.monotonic() - start)

    workers = [threading.Thread(target=loop) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    elapsed = time.monotonic() - begun
    cpu = (cpu_seconds(pid) if pid else time.process_time()) - before
    taken.sort()
    return (
        len(taken) / elapsed,
        1000 * taken[len(taken) // 2],
        1000 * taken[len(taken) * 99 // 100],
        1000 * cpu / len(taken),
    )


def large_result(door: Door, connection: Connection, rounds: int) -> None:
    """Measure a gigabyte in Native format, over HTTP and written to nowhere by the engine."""
    rates: dict[str, list[float]] = {"over HTTP": [], "in the engine, to /dev/null": []}
    with httpx.Client(auth=door.writer, timeout=120, headers={"accept-encoding": "identity"}) as client:
        for _ in range(rounds):
            begun, size = time.monotonic(), 0
            with client.stream("POST", door.url, content=f"{LARGE_RESULT} FORMAT Native") as answer:
                for piece in answer.iter_raw():
                    size += len(piece)
            rates["over HTTP"].append(size / 1e6 / (time.monotonic() - begun))
            begun = time.monotonic()
            connection.query(f"{LARGE_RESULT} INTO OUTFILE '/dev/null' TRUNCATE FORMAT Native", "Null")
            rates["in the engine, to /dev/null"].append(size / 1e6 / (time.monotonic() - begun))
    print(f"\n| result of {size / 1e9:.2f} GB | MB/s |\n|---|---|")
    for way, found in rates.items():
        print(f"| {way} | {median(found):,.0f} |")
    http, direct = (median(found) for found in rates.values())
    print(f"\nRatio: {http / direct:.2f}")


def heavy_readers(bench: Bench, server: servers.Server, door: Door, rounds: int) -> None:
    """Measure the acknowledgement latency of a steady load, with and without readers whose queries do not end."""
    print(f"\n| ingest of {RATE:,} spans/s, {LARGE} a request | p50 ms | p99 ms |\n|---|---|---|")
    stop = threading.Event()

    def read() -> None:
        with httpx.Client(auth=door.reader, timeout=120) as client:
            while not stop.is_set():
                client.post(door.url, params={"max_execution_time": "5"}, content=HEAVY)

    found: dict[str, list[tuple[float, float]]] = {"no readers": [], f"{READERS} heavy readers": []}
    for _ in range(rounds):
        for way, results in found.items():
            stop.clear()
            readers = [threading.Thread(target=read) for _ in range(READERS if way != "no readers" else 0)]
            for reader in readers:
                reader.start()
            measured = bench.load(server, "traces", LARGE, "--rate", str(RATE))
            stop.set()
            for reader in readers:
                reader.join()
            results.append((measured.p50_ms, measured.p99_ms))
    for way, results in found.items():
        print(f"| {way} | {median(r[0] for r in results):.0f} | {median(r[1] for r in results):.0f} |")


if __name__ == "__main__":
    sys.exit(main())
