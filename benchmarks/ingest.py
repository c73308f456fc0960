"""Measures the cost of ingest, this server's and its peers' side by side: `python -m benchmarks.ingest`.

Every comparison starts both servers, then measures them in turn (subject, peer, subject, peer, …) so that the
machine's noise falls on both: the same client, the same requests, the same number in flight and, where there
is one, the same sink. Figures are medians over the rounds; memory is the highest of them. It prints the Markdown
that docs/performance.md contains.

A target that is not met is printed as such and is no failure; the exit code is 1 when a server did not start,
a request failed, or a stopped embedded server does not hold exactly what it acknowledged.

Between machines, and between hours on a shared one, spans per CPU-second differ by half; the ratios hold.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import orjson

from benchmarks import corpus, servers, storage
from benchmarks.load import Measurement
from benchmarks.servers import Server
from otlp.signals import KINDS, Signal

LARGE, SMALL, HUGE = 512, 10, 2048
REQUESTS = {LARGE: 160, SMALL: 1000, HUGE: 24}
"""The number of different requests of each size."""
IN_FLIGHT = {LARGE: 64, SMALL: 2000, HUGE: 24}
LATENCY_TARGET_MS = 500
MEMORY_TARGET_MIB = 512
STORAGE_TARGET = 1 / 10
BACKPRESSURE = {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}


def main() -> int:
    """Run the chosen cases and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6, help="of load in each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each server")
    parser.add_argument(
        "--case",
        choices=[*CASES, "usual", "all"],
        default="usual",
        help="one of them, those that need a few minutes and no other program, or all",
    )
    parser.add_argument(
        "--peers",
        default="rotel,rotel-private,collector,collector-private",
        help="of the cases peers and clients",
    )
    options = parser.parse_args()
    print(machine())
    print(f"\nCommand: `{' '.join(['python -m benchmarks.ingest', *sys.argv[1:]])}`")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory, ExitStack() as stack:
        bench = Bench(Path(directory), options.seconds, options.rounds, options.peers.split(","))
        bench.sink = stack.enter_context(servers.discarding_sink(bench.directory / "sink"))
        for name, case in CASES.items():
            if options.case in (name, "all") or (options.case == "usual" and name in USUAL):
                case(bench)
        for failure in bench.failures:
            print(f"\nFailed: {failure}")
    return 1 if bench.failures else 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two servers, one load."""

    title: str
    peer: str
    items: int
    target: float | None
    """The least ratio of spans per CPU-second, the subject's to the peer's."""
    signal: str = "traces"


AGAINST_PEERS = (
    Comparison("512 spans a request, to the sink", "rotel", LARGE, 1.2),
    Comparison("10 spans a request, to the sink", "rotel", SMALL, 0.5),
    Comparison("512 spans a request, to the sink", "naive", LARGE, 8),
    Comparison("512 log records a request, to the sink", "rotel", LARGE, None, "logs"),
)
LOADS = (("traces", LARGE), ("traces", SMALL), ("logs", LARGE), ("logs", SMALL))
AHEAD = {"rotel": 1.0, "collector": 1.5, "rotel-private": 4, "collector-private": 4}
"""The least ratios to the peers at ten records a request; at 512 the plain ones are to be passed."""
HTTP_TARGET = 0.5
HTTP_IN_FLIGHT = 200
CLIENTS = 500
AGAINST_SINK = Comparison("512 spans a request, tables written", "ours", LARGE, 0.8)


def compare_with_peers(bench: "Bench") -> None:
    """Compare this server with rotel and the naive receiver, all writing to the sink."""
    head()
    for comparison in AGAINST_PEERS:
        bench.compare(comparison, "ours")


def compare_same_work(bench: "Bench") -> None:
    """Compare this server with peers that do the same privacy work, and with the same ones when they do none."""
    peer_head()
    for signal, items in LOADS:
        noun = "spans" if signal == "traces" else "log records"
        targets = AHEAD if items == SMALL else AHEAD | {"collector": 1.0}
        load = partial(bench.load, signal=signal, items=items)
        bench.compare_all(f"{items} {noun} a request", targets, load)


def compare_clients(bench: "Bench") -> None:
    """Compare what hundreds of clients cost: small requests at their own intervals, of all three signals."""
    peer_head()
    bench.compare_all(f"{CLIENTS} clients, traces, logs, metrics", {}, bench.clients)


def compare_transports(bench: "Bench") -> None:
    """Measure small requests over HTTP beside gRPC, on one server."""
    print("\n| load | protocol | per CPU-second | per second | p50 / p99 ms | ratio to gRPC | target |")
    print("|---|---|---|---|---|---|---|")
    for signal in ("traces", "logs"):
        with bench.guarded(f"{SMALL} {signal} over HTTP"), bench.start("ours") as server:
            protocols = ("grpc", "http/protobuf", "http/json")
            sides = {protocol: Side(protocol) for protocol in protocols}
            for _ in range(bench.rounds):
                for protocol, side in sides.items():
                    side.results.append(bench.load(server, signal, SMALL, protocol=protocol))
            for protocol, side in sides.items():
                ratio = side.figure / sides["grpc"].figure
                met = "" if protocol == "grpc" else verdict(ratio >= HTTP_TARGET, f"at least {HTTP_TARGET}")
                _, figure, per_second, _, latencies, _ = side.cells()
                cells = [
                    f"{SMALL} {signal} a request",
                    protocol,
                    figure,
                    per_second,
                    latencies,
                    f"{ratio:.2f}",
                    met,
                ]
                print(f"| {' | '.join(cells)} |", flush=True)


def compare_embedded(bench: "Bench") -> None:
    """Compare the embedded mode with server mode into the sink, and measure the size of the stored rows."""
    head()
    bench.compare(AGAINST_SINK, "ours-embedded")
    with bench.guarded("storage"):
        with bench.start("ours-embedded") as server:
            result = bench.load(server, "traces", LARGE, "--once")
        stored = bench.check_stored(server, result.items_in_all)
        ratio = stored.bytes_on_disk / result.wire_bytes
        met = verdict(ratio <= STORAGE_TARGET, f"at most {STORAGE_TARGET}")
        print(
            f"\nStorage: {stored.rows:,} spans, all different, in {stored.parts} parts: "
            f"{stored.bytes_on_disk / max(1, stored.rows):.0f} bytes a span on disk, "
            f"{result.wire_bytes / result.items:.0f} bytes a span of OTLP, ratio {ratio:.3f}; {met}",
            flush=True,
        )


def measure_latency(bench: "Bench") -> None:
    """Acknowledgement latency of the embedded mode under a steady load."""
    print("\n| steady load, tables written | spans/s sent | p50 ms | p99 ms | CPU cores | target |")
    print("|---|---|---|---|---|---|")
    for items, rate in ((LARGE, 10_000), (SMALL, 2_000)):
        with bench.guarded(f"latency at {items}"):
            with bench.start("ours-embedded") as server:
                rounds = [
                    bench.load(server, "traces", items, "--rate", str(rate)) for _ in range(bench.rounds)
                ]
            bench.check_stored(server, sum(one.items_in_all for one in rounds))
            p50, p99 = (median(getattr(one, name) for one in rounds) for name in ("p50_ms", "p99_ms"))
            cores = median(one.cpu_seconds / one.seconds for one in rounds)
            met = verdict(p99 < LATENCY_TARGET_MS, f"p99 < {LATENCY_TARGET_MS} ms")
            cells = [f"{items} spans a request", f"{rate:,}", f"{p50:.0f}", f"{p99:.0f}", f"{cores:.2f}", met]
            print(f"| {' | '.join(cells)} |", flush=True)


def measure_memory(bench: "Bench") -> None:
    """Resident memory of the embedded mode under more load than it can take, in large requests."""
    with bench.guarded("memory"):
        with bench.start("ours-embedded") as server:
            result = bench.load(
                server, "traces", HUGE, "--seconds", str(bench.seconds * 3), tolerated=BACKPRESSURE
            )
        bench.check_stored(server, result.items_in_all)
        met = verdict(result.rss_max_mib < MEMORY_TARGET_MIB, f"< {MEMORY_TARGET_MIB} MiB")
        print(
            f"\nMemory: {result.rss_max_mib:.0f} MiB resident at most, {result.rss_mib:.0f} MiB afterwards, "
            f"with {IN_FLIGHT[HUGE]} requests of {HUGE:,} spans in flight for {result.seconds:.0f} s "
            f"({result.items / result.seconds:,.0f} spans/s, {sum(result.errors.values())} requests told to "
            f"try later); {met}",
            flush=True,
        )


CASES: dict[str, Callable[["Bench"], None]] = {
    "sink": compare_with_peers,
    "embedded": compare_embedded,
    "latency": measure_latency,
    "memory": measure_memory,
    "http": compare_transports,
    "peers": compare_same_work,
    "clients": compare_clients,
}
USUAL = {"sink", "embedded", "latency", "memory", "http"}


@dataclass(slots=True)
class Bench:
    """One run: its directory, the time that it measures, and its failures."""

    directory: Path
    seconds: float
    rounds: int
    peers: Sequence[str] = ()
    sink: Server = field(init=False)
    started: int = 0
    failures: list[str] = field(default_factory=list)
    now: int = field(default_factory=time.time_ns)

    def compare(self, comparison: Comparison, subject: str) -> None:
        """Measure subject and peer in turn and print the table's row."""
        with self.guarded(comparison.title), ExitStack() as stack:
            pair = [stack.enter_context(self.start(name)) for name in (subject, comparison.peer)]
            sides = [Side(server.name) for server in pair]
            for _ in range(self.rounds):
                for server, side in zip(pair, sides, strict=True):
                    before = servers.swallowed(self.sink)
                    side.results.append(self.load(server, comparison.signal, comparison.items))
                    side.sink_bytes += servers.swallowed(self.sink) - before
            print(row(comparison, *sides), flush=True)
            stack.close()
            if subject == "ours-embedded":
                self.check_stored(pair[0], sum(one.items_in_all for one in sides[0].results))

    def compare_all(
        self, title: str, targets: Mapping[str, float], load: Callable[[Server], Measurement]
    ) -> None:
        """Measure this server and all peers in turn under one load, and print a row for each."""
        with self.guarded(title), ExitStack() as stack:
            servers_of: dict[str, Server] = {}
            for name in ("ours", *self.peers):
                with self.guarded(f"{title}, {name}"):
                    servers_of[name] = stack.enter_context(self.start(name))
            sides = {name: Side(server.name) for name, server in servers_of.items()}
            for number in range(self.rounds):
                order = list(servers_of) if number % 2 == 0 else list(servers_of)[::-1]
                for name in order:
                    before = servers.swallowed(self.sink)
                    sides[name].results.append(load(servers_of[name]))
                    sides[name].sink_bytes += servers.swallowed(self.sink) - before
            for name, side in sides.items():
                ratio = sides["ours"].figure / side.figure
                target = targets.get(name)
                met = "" if target is None else verdict(ratio >= target, f"at least {target}")
                cells = [title, *side.cells(), "" if name == "ours" else f"{ratio:.2f}", met]
                print(f"| {' | '.join(cells)} |", flush=True)

    def clients(self, server: Server) -> Measurement:
        """Run the clients of `benchmarks.clients` once."""
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.clients", "--target", server.target),
                *("--pid", str(server.process.pid), "--clients", str(CLIENTS)),
                *("--seconds", str(self.seconds * 3)),
            ],
            cwd=servers.ROOT, stdout=subprocess.PIPE, check=True, timeout=180 + 5 * self.seconds,
        )  # fmt: skip
        return self.measured(server, done.stdout, "of clients")

    def measured(
        self, server: Server, output: bytes, what: str, tolerated: set[str] | None = None
    ) -> Measurement:
        """Read a measurement; every status except OK and the tolerated ones is a failure."""
        result = Measurement(**orjson.loads(output))
        if unexpected := {code: n for code, n in result.errors.items() if code not in (tolerated or ())}:
            self.failures.append(f"{server.name}, {what}: {unexpected}")
        return result

    def start(self, name: str) -> AbstractContextManager[Server]:
        """Return the named server, to be entered, in a new directory of its own."""
        self.started += 1
        directory = self.directory / f"{name}-{self.started}"
        starters: dict[str, Callable[[], AbstractContextManager[Server]]] = {
            "ours": lambda: servers.ours(directory, self.sink),
            "ours-embedded": lambda: servers.ours(directory, None),
            "rotel": lambda: servers.rotel(directory, self.sink),
            "rotel-private": lambda: servers.rotel(directory, self.sink, is_private=True),
            "collector": lambda: servers.collector(directory, self.sink),
            "collector-private": lambda: servers.collector(directory, self.sink, is_private=True),
            "naive": lambda: servers.naive(directory, self.sink),
        }
        return starters[name]()

    def load(
        self,
        server: Server,
        signal: str,
        items: int,
        *more: str,
        tolerated: set[str] | None = None,
        protocol: str = "grpc",
    ) -> Measurement:
        """Run the load generator once."""
        target, in_flight = server.target, IN_FLIGHT[items]
        if protocol != "grpc":
            target, in_flight = server.http, min(in_flight, HTTP_IN_FLIGHT)
        command = [
            *(sys.executable, "-m", "benchmarks.load", "--target", target, "--protocol", protocol),
            *("--pid", str(server.process.pid), "--signal", signal, "--items", str(items)),
            *("--bodies", str(self.bodies(signal, items, protocol)), "--in-flight", str(in_flight)),
            *("--seconds", str(self.seconds), *more),
        ]
        done = subprocess.run(
            command, cwd=servers.ROOT, stdout=subprocess.PIPE, check=True, timeout=120 + 5 * self.seconds
        )
        return self.measured(server, done.stdout, f"{items} {signal} a request", tolerated)

    def bodies(self, signal: str, items: int, protocol: str = "grpc") -> Path:
        """Return the file of requests of this size, made on first use, dated an hour ago."""
        path = self.directory / f"{signal}-{items}"
        if protocol == "http/json":
            encoded = path.with_name(f"{path.name}-json")
            if not encoded.exists():
                request = KINDS[Signal(signal)].request
                corpus.write_all(
                    encoded,
                    [corpus.as_json(body, request) for body in corpus.read(self.bodies(signal, items))],
                )
            return encoded
        if not path.exists():
            make = corpus.traces if signal == "traces" else corpus.logs
            corpus.write(path, make, items, REQUESTS[items], self.now - 3600 * 10**9)
        return path

    def check_stored(self, server: Server, acknowledged: int) -> storage.Stored:
        """Return the figures of a stopped server's disk; rows other than those acknowledged are a failure."""
        stored = storage.measure(server.directory / "data")
        if stored.rows != acknowledged:
            self.failures.append(f"{server.name} stored {stored.rows:,} rows, acknowledged {acknowledged:,}")
        return stored

    def guarded(self, title: str) -> "Guard":
        """Return a block whose failure is noted, so that the other cases still run."""
        return Guard(title, self.failures)


@dataclass(frozen=True, slots=True)
class Guard:
    """Notes servers that do not start and loads that do not end."""

    title: str
    failures: list[str]

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Note the failures that belong to a case, let the others pass."""
        expected = isinstance(error, servers.StartError | subprocess.SubprocessError | OSError)
        if expected:
            self.failures.append(f"{self.title}: {error}")
        return expected


@dataclass(slots=True)
class Side:
    """One server's rounds in a comparison."""

    name: str
    results: list[Measurement] = field(default_factory=list)
    sink_bytes: int = 0

    @property
    def figure(self) -> float:
        """Return the median of items per CPU-second."""
        return median(one.items_per_cpu_second for one in self.results)

    def cells(self) -> list[str]:
        """Return the table's cells about this side."""
        sent = self.sink_bytes / max(1, sum(one.items_in_all for one in self.results))
        p50, p99 = (median(getattr(one, name) for one in self.results) for name in ("p50_ms", "p99_ms"))
        return [
            self.name,
            f"{self.figure:,.0f}",
            f"{median(one.items / one.seconds for one in self.results):,.0f}",
            f"{max(one.rss_max_mib for one in self.results):.0f}",
            f"{p50:.0f} / {p99:.0f}",
            f"{sent:.0f}" if sent else "none",
        ]


def head() -> None:
    """Print the head of the comparisons' table."""
    columns = ["per CPU-second", "per second", "max RSS MiB", "p50 / p99 ms", "bytes to the sink"]
    names = ["load", "server", *columns, "peer", *columns, "ratio", "target"]
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}")


def peer_head() -> None:
    """Print the head of a table with a row for each server."""
    names = [
        "load",
        "server",
        "per CPU-second",
        "per second",
        "max RSS MiB",
        "p50 / p99 ms",
        "bytes to the sink",
    ]
    print(f"\n| {' | '.join([*names, 'ratio', 'target'])} |\n|{'---|' * (len(names) + 2)}")


def row(comparison: Comparison, subject: Side, peer: Side) -> str:
    """Return the table's row; everything is in items (spans or records), bytes are for each item."""
    ratio = subject.figure / peer.figure
    target = comparison.target
    met = "none set" if target is None else verdict(ratio >= target, f"at least {target}")
    cells = [comparison.title, *subject.cells(), *peer.cells(), f"{ratio:.2f}", met]
    return f"| {' | '.join(cells)} |"


def verdict(met: bool, target: str) -> str:  # noqa: FBT001  the function's one question
    """Return the target and whether it is met."""
    return f"{target}: {'met' if met else 'not met'}"


def machine() -> str:
    """Return a line that describes the machine of the figures."""
    cpu = line_value("/proc/cpuinfo", "model name")
    memory = int(line_value("/proc/meminfo", "MemTotal").split()[0]) / 1024**2
    packages = ", ".join(f"{name} {installed(name)}" for name in ("chdb-core", "grpcio", "rotel"))
    return (
        f"Machine: {cpu}, {os.cpu_count()} cores, {memory:.1f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def line_value(path: str, name: str) -> str:
    """Return the text after `name:` on the first line of a /proc file that starts with it."""
    lines = Path(path).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")


def installed(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    sys.exit(main())
