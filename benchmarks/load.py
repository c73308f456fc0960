"""The load generator: sends prepared requests over gRPC or HTTP and measures the server from outside.

A process of its own, so that the server's CPU time is the server's alone. Three ways to send: closed loop (so
many requests in flight, each answer starts the next), open loop (`--rate` items a second, latency counted
from the moment a request was due, so a stall counts for every request it delayed), and `--once` (every
request exactly once, for what is stored afterwards).

It prints one JSON line, a `Measurement`. CPU is read from /proc before and after, all threads and child
processes included; the "after" waits until the server is idle, because a server may acknowledge before it
has exported and that work counts as well. Memory is the kernel's own high-water mark of the resident set.
Requests that fail are counted by status code and not sent again.
"""

import argparse
import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Protocol

import grpc
import grpc.aio
import orjson

from benchmarks import corpus
from benchmarks.http_client import CONTENT_TYPES, Connection, StatusError

CHANNELS = 4
TIMEOUT_SECONDS = 30
PAUSE_AFTER_ERROR_SECONDS = 0.05
WARM_UP_SECONDS = 1.5
IDLE_CORES = 0.05
"""A server using less than this share of one core is done with its work."""
IDLE_WINDOW_SECONDS = 1.0
IDLE_DEADLINE_SECONDS = 20
EXPORT = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}


def main() -> None:
    """Run one load and print its measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", required=True, help="HOST:PORT of the gRPC or HTTP server")
    parser.add_argument("--protocol", choices=["grpc", *CONTENT_TYPES], default="grpc")
    parser.add_argument("--pid", type=int, required=True, help="process whose CPU and memory are measured")
    parser.add_argument("--signal", choices=sorted(EXPORT), default="traces")
    parser.add_argument("--bodies", type=Path, required=True, help="file made by benchmarks.corpus.write")
    parser.add_argument("--items", type=int, required=True, help="spans or records in each request")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--in-flight", type=int, default=48)
    parser.add_argument("--rate", type=float, help="open loop: spans or records a second")
    parser.add_argument("--once", action="store_true", help="every request once, without warming up")
    options = parser.parse_args()
    load = Load(**vars(options))
    print(orjson.dumps(asdict(asyncio.run(measure(load)))).decode())


@dataclass(frozen=True, slots=True)
class Load:
    """The load and its target; the fields are the command line's options."""

    target: str
    pid: int
    signal: str
    bodies: Path
    items: int
    seconds: float
    in_flight: int
    rate: float | None = None
    once: bool = False
    protocol: str = "grpc"


@dataclass(frozen=True, slots=True)
class Measurement:
    """The cost of a load. An item is a span or a log record; only acknowledged ones count."""

    items: int
    items_in_all: int
    """With the items of the warm-up."""
    wire_bytes: int
    """OTLP bytes acknowledged, as they were on the wire."""
    seconds: float
    cpu_seconds: float
    rss_mib: float
    rss_max_mib: float
    p50_ms: float
    p99_ms: float
    errors: dict[str, int]

    @property
    def items_per_cpu_second(self) -> float:
        """Return the figure that the benchmarks compare."""
        return self.items / self.cpu_seconds if self.cpu_seconds else 0.0


async def measure(load: Load) -> Measurement:
    """Send the load and return its cost to the process `load.pid`."""
    bodies = corpus.read(load.bodies)
    channels: list[Connection] | list[grpc.aio.Channel]
    if load.protocol == "grpc":
        channels = [grpc.aio.insecure_channel(load.target, options=CHANNEL_OPTIONS) for _ in range(CHANNELS)]
        calls = cycle([channel.unary_unary(EXPORT[load.signal]) for channel in channels])
    else:  # a connection for each request in flight
        channels = [Connection(load.target, load.signal, load.protocol) for _ in range(load.in_flight)]
        calls = cycle(channels)
    try:
        warm_up = Tally()
        if not load.once:
            await closed_loop(
                warm_up, calls.__next__, cycle(bodies).__next__, load.in_flight, WARM_UP_SECONDS
            )
        await idle(load.pid)
        before, begun = cpu_seconds(load.pid), time.monotonic()
        tally = Tally()
        if load.once:
            await closed_loop(tally, calls.__next__, iter(bodies).__next__, load.in_flight, 3600)
        elif load.rate:
            interval = load.items / load.rate
            await open_loop(tally, calls.__next__, cycle(bodies).__next__, interval, load.seconds)
        else:
            await closed_loop(tally, calls.__next__, cycle(bodies).__next__, load.in_flight, load.seconds)
        seconds = time.monotonic() - begun
        await idle(load.pid)
        spent = cpu_seconds(load.pid) - before
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))
    return Measurement(
        items=tally.requests * load.items,
        items_in_all=(warm_up.requests + tally.requests) * load.items,
        wire_bytes=tally.wire_bytes,
        seconds=seconds,
        cpu_seconds=spent,
        rss_mib=memory_mib(load.pid, "VmRSS"),
        rss_max_mib=memory_mib(load.pid, "VmHWM"),
        p50_ms=tally.percentile_ms(0.50),
        p99_ms=tally.percentile_ms(0.99),
        errors=dict(tally.errors),
    )


CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # or the channels would share one connection
]


class Call(Protocol):
    """A gRPC method that takes and returns raw bytes."""

    def __call__(self, request: bytes, *, timeout: float) -> Awaitable[bytes]:
        """Send the request; raise `AioRpcError` on any status but OK."""


@dataclass(slots=True)
class Tally:
    """The answers so far."""

    requests: int = 0
    wire_bytes: int = 0
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def percentile_ms(self, share: float) -> float:
        """Return the latency that `share` of the acknowledged requests did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else 0.0

    async def send(self, call: Call, body: bytes, due: float) -> bool:
        """Send one request that was due at `due` and count its answer; return whether it succeeded."""
        try:
            await call(body, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            self.errors[error.code().name] += 1
            return False
        except (StatusError, OSError, EOFError) as error:
            self.errors[str(error) if isinstance(error, StatusError) else type(error).__name__] += 1
            return False
        self.latencies.append(time.perf_counter() - due)
        self.requests += 1
        self.wire_bytes += len(body)
        return True


async def closed_loop(
    tally: Tally, calls: Callable[[], Call], bodies: Callable[[], bytes], in_flight: int, seconds: float
) -> None:
    """Keep `in_flight` requests under way until the time or the bodies are used up; wait for the answers."""
    end = time.perf_counter() + seconds

    async def work() -> None:
        call = calls()
        while (now := time.perf_counter()) < end:
            try:
                body = bodies()
            except StopIteration:
                return
            if not await tally.send(call, body, now):
                await asyncio.sleep(PAUSE_AFTER_ERROR_SECONDS)

    await asyncio.gather(*(work() for _ in range(in_flight)))


async def open_loop(
    tally: Tally, calls: Callable[[], Call], bodies: Callable[[], bytes], interval: float, seconds: float
) -> None:
    """Start a request every `interval` seconds, even when those before are not answered yet."""
    start = time.perf_counter()
    async with asyncio.TaskGroup() as requests:
        for number in range(int(seconds / interval)):
            due = start + number * interval
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            requests.create_task(tally.send(calls(), bodies(), due))


async def idle(pid: int) -> None:
    """Wait until the process has used next to no CPU for a second, or has had twenty to come to rest."""
    deadline = time.monotonic() + IDLE_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        before = cpu_seconds(pid)
        await asyncio.sleep(IDLE_WINDOW_SECONDS)
        if cpu_seconds(pid) - before <= IDLE_CORES * IDLE_WINDOW_SECONDS:
            return


def cpu_seconds(pid: int) -> float:
    """Return user and system time of the process and its living children, all threads (proc_pid_stat(5))."""
    ticks = 0
    for process in family(pid):
        after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, name: str) -> float:
    """Return VmRSS or VmHWM (the most that VmRSS ever was) of the process and its children, in MiB."""
    kib = 0
    for process in family(pid):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                kib += int(line.split()[1])
    return kib / 1024


def family(pid: int) -> list[int]:
    """Return the process and every descendant of it."""
    found = [pid]
    for process in found:
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found


if __name__ == "__main__":
    main()
