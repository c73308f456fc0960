"""Measures the cost of reading over the ClickHouse interface and MCP: `python -m benchmarks.gateway`.

Three comparisons, each in one run: a small query over HTTP beside the same query called in the engine directly; a
result of a gigabyte over HTTP beside the engine writing it to nowhere; and the latency of ingest with heavy readers
beside that without: readers of the interface, and callers of tools through the web process. The direct engine runs in
this process, the server in its own. Figures are medians over rounds that alternate.
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
from typing import Any

import chdb
import httpx
from chdb.state.sqlitelike import Connection

from benchmarks import servers
from benchmarks.ingest import LARGE, Bench, machine, verdict
from benchmarks.load import cpu_seconds
from benchmarks.mcp_start import VERSION, request
from clickhouse.engine import CONFIG

SMALL = "SELECT number, toString(number) FROM numbers(10)"
LARGE_RESULT = "SELECT number, toString(number) AS text FROM numbers(60000000)"
HEAVY = "SELECT uniqExact(cityHash64(number, toString(number))) FROM numbers(100000000000)"
HEAVY_CALL = "SELECT uniqExact(cityHash64(number, toString(number))) FROM numbers(20000000)"
READERS = 4
TARGET_MORE = 0.1
RATE = 5_000
WEB = {
    "TELEMETRY_WEB_PORT": "0",
    "TELEMETRY_QUERIES_PER_MINUTE": "1000000",
    "TELEMETRY_QUERIES_AT_ONCE": "1000000",
    "TELEMETRY_QUERY_CACHE_SECONDS": "0",
}


def main() -> int:
    """Run all comparisons and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of load in each measurement")
    parser.add_argument("--only-readers", action="store_true", help="measure ingest beside readers alone")
    options = parser.parse_args()
    print(machine())
    print(f"\nCommand: `{' '.join(['python -m benchmarks.gateway', *sys.argv[1:]])}`")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory, ExitStack() as stack:
        bench = Bench(Path(directory), options.seconds, options.rounds)
        server = stack.enter_context(servers.ours(Path(directory) / "ours", None, **WEB))
        gateway = Gateway(server)
        if options.only_readers:
            heavy_readers(bench, server, gateway, options.rounds)
            return 0
        connection = chdb.connect(f":memory:?config-file={CONFIG}")
        small_queries(gateway, connection, options.rounds, options.seconds)
        large_result(gateway, connection, options.rounds)
        connection.close()
        heavy_readers(bench, server, gateway, options.rounds)
    return 0


class Gateway:
    """The interface of a running server, as its reader and as its writer."""

    def __init__(self, server: servers.Server) -> None:
        path = server.directory / "data" / "credentials.env"
        # The web process makes its token when it has started.
        while "TELEMETRY_WEB_TOKEN" not in path.read_text():
            time.sleep(0.1)
        lines = path.read_text().splitlines()
        passwords = dict(line.split("=", 1) for line in lines)
        self.pid = server.process.pid
        self.url = f"http://{servers.listening(server)['clickhouse_http']}/"
        self.reader = ("telemetry_reader", passwords["TELEMETRY_READER_PASSWORD"])
        self.mcp = f"http://{servers.listening(server)['web']}/mcp"
        self.token = passwords["TELEMETRY_WEB_TOKEN"]
        self.writer = ("telemetry_user", passwords["CLICKHOUSE_PASSWORD"])


def small_queries(gateway: Gateway, connection: Connection, rounds: int, seconds: float) -> None:
    """Measure a query that reads ten rows, again and again: over one kept connection, over four, and directly."""
    print("\n| small query | queries a second | p50 ms | p99 ms | server's CPU ms a query |")
    print("|---|---|---|---|---|")
    with httpx.Client(auth=gateway.reader, headers={"accept-encoding": "identity"}) as client:

        def over_http() -> None:
            client.post(gateway.url, content=SMALL).raise_for_status()

        def directly() -> None:
            connection.query(SMALL, "TabSeparated")

        over_http()
        found: dict[str, list[tuple[float, float, float, float]]] = {
            "over HTTP": [],
            "over HTTP, four clients": [],
            "in the engine": [],
        }
        for _ in range(rounds):
            found["over HTTP"].append(repeated(over_http, seconds, gateway.pid))
            found["over HTTP, four clients"].append(repeated(over_http, seconds, gateway.pid, threads=4))
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


def large_result(gateway: Gateway, connection: Connection, rounds: int) -> None:
    """Measure a gigabyte in Native format, over HTTP and written to nowhere by the engine."""
    rates: dict[str, list[float]] = {"over HTTP": [], "in the engine, to /dev/null": []}
    with httpx.Client(auth=gateway.writer, timeout=120, headers={"accept-encoding": "identity"}) as client:
        for _ in range(rounds):
            begun, size = time.monotonic(), 0
            with client.stream("POST", gateway.url, content=f"{LARGE_RESULT} FORMAT Native") as answer:
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


def heavy_readers(bench: Bench, server: servers.Server, gateway: Gateway, rounds: int) -> None:
    """Measure the acknowledgement latency of a steady load: alone, beside queries without end, beside heavy calls."""
    stop = threading.Event()

    def read() -> None:
        with httpx.Client(auth=gateway.reader, timeout=120) as client:
            while not stop.is_set():
                client.post(gateway.url, params={"max_execution_time": "5"}, content=HEAVY)

    def call() -> None:
        with httpx.Client(timeout=120) as client:
            while not stop.is_set():
                call_tool(client, gateway, "run_sql", {"sql": HEAVY_CALL})

    ways: dict[str, Callable[[], None] | None] = {
        "no readers": None,
        f"{READERS} heavy readers": read,
        f"{READERS} callers of heavy tools": call,
    }
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for number in range(rounds):
        # The load of the machine drifts: each way is measured first as often as last.
        for way in list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]:
            stop.clear()
            reading = ways[way]
            readers = [threading.Thread(target=reading) for _ in range(READERS if reading else 0)]
            for reader in readers:
                reader.start()
            measured = bench.load(server, "traces", LARGE, "--rate", str(RATE))
            stop.set()
            for reader in readers:
                reader.join()
            found[way].append((measured.p50_ms, measured.p99_ms))
    print(
        f"\n| ingest of {RATE:,} spans/s, {LARGE} a request | p50 ms | p99 ms | p99, ratio |\n|---|---|---|---|"
    )
    alone = median(p99 for _, p99 in found["no readers"])
    worst = 0.0
    for way, results in found.items():
        p50, p99 = (median(values) for values in zip(*results, strict=True))
        worst = max(worst, p99 / alone)
        print(f"| {way} | {p50:.0f} | {p99:.0f} | {p99 / alone:.2f} |")
    met = verdict(worst <= 1 + TARGET_MORE, f"at most {TARGET_MORE:.0%} more")
    print(f"\np99 beside readers: {worst - 1:+.0%}; {met}")


def call_tool(client: httpx.Client, gateway: Gateway, tool: str, arguments: dict[str, Any]) -> None:
    """Call a tool through the web process, as a client of the newest version of the protocol does."""
    method = "tools/call"
    answer = client.post(
        gateway.mcp,
        json=request(1, method, name=tool, arguments=arguments),
        headers={
            "Authorization": f"Bearer {gateway.token}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
            "Mcp-Name": tool,
        },
    )
    answer.raise_for_status()
    if '"isError":true' in answer.text:
        raise SystemExit(f"{tool} was refused: {answer.text}")


if __name__ == "__main__":
    sys.exit(main())
