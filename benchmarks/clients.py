"""The load of hundreds of real clients, over gRPC: `python -m benchmarks.clients`, run by `benchmarks.ingest`.

Each client has a connection of its own. As Claude Code does by default, it exports log records and spans every five
seconds and metrics every minute, if it has any: two of three clients are busy in an interval, with 1 to 20 log records
and up to as many spans. The metrics are a real client's, from
tests/data. Intervals are shortened by `--hurry`, so that
a measurement of seconds has requests of all kinds; the load is then that of as many times more clients.

It prints a `benchmarks.load.Measurement` as JSON. A request is due at its time, whether those before are answered or
not; latencies count from then.
"""

import argparse
import asyncio
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import grpc
import grpc.aio
import orjson

from benchmarks import corpus
from benchmarks.load import CHANNEL_OPTIONS, EXPORT, Measurement, Tally, cpu_seconds, idle, memory_mib

METRICS = Path(__file__).parent.parent / "tests" / "data" / "captures" / "session-grpc" / "002-metrics.pb"
LOGS_SECONDS = TRACES_SECONDS = 5.0
METRICS_SECONDS = 60.0
BUSY = 2 / 3
MOST = 20


@dataclass(frozen=True, slots=True)
class Due:
    """A request, when it is to be sent, and how many records it has."""

    at: float
    client: int
    signal: str
    body: bytes
    items: int


def main() -> None:
    """Run the clients and print the measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", required=True, help="HOST:PORT of the gRPC server")
    parser.add_argument("--pid", type=int, required=True, help="process whose CPU and memory are measured")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument(
        "--hurry", type=float, default=4, help="so many times shorter than a client's are intervals"
    )
    options = parser.parse_args()
    plan = planned(options.clients, options.seconds, options.hurry)
    print(orjson.dumps(asdict(asyncio.run(run(options.target, options.pid, options.clients, plan)))).decode())


def planned(clients: int, seconds: float, hurry: float) -> list[Due]:
    """Return the requests of all clients, in order of time; the same each time but for their dates."""
    start = time.time_ns() - 3600 * 10**9
    random = Random(7)
    metrics = METRICS.read_bytes()
    plan: list[Due] = []
    for client in range(clients):
        for signal, interval in (
            ("logs", LOGS_SECONDS),
            ("traces", TRACES_SECONDS),
            ("metrics", METRICS_SECONDS),
        ):
            at = random.random() * interval / hurry
            while at < seconds:
                if signal == "metrics":
                    plan.append(Due(at, client, signal, metrics, 0))
                elif random.random() < BUSY:
                    items = random.randint(1, MOST)
                    make = corpus.logs if signal == "logs" else corpus.traces
                    plan.append(Due(at, client, signal, make(items, len(plan), start), items))
                at += interval / hurry
    return sorted(plan, key=lambda due: due.at)


async def run(target: str, pid: int, clients: int, plan: list[Due]) -> Measurement:
    """Send what is planned and return its cost; metrics are sent and not counted among the items."""
    channels = [grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS) for _ in range(clients)]
    calls = [{name: channel.unary_unary(path) for name, path in EXPORT.items()} for channel in channels]
    tally = Tally()
    acknowledged = 0

    async def send(due: Due, moment: float) -> None:
        nonlocal acknowledged
        if await tally.send(calls[due.client][due.signal], due.body, moment):
            acknowledged += due.items

    try:
        for one in calls[:4]:  # the server opens what a first request needs
            await one["traces"](corpus.traces(1, 0), timeout=30)
            await one["logs"](corpus.logs(1, 0), timeout=30)
        await idle(pid)
        before, begun = cpu_seconds(pid), time.perf_counter()
        async with asyncio.TaskGroup() as requests:
            for due in plan:
                if (wait := begun + due.at - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                requests.create_task(send(due, begun + due.at))
        seconds = time.perf_counter() - begun
        await idle(pid)
        spent = cpu_seconds(pid) - before
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))
    return Measurement(
        items=acknowledged,
        items_in_all=acknowledged,
        wire_bytes=tally.wire_bytes,
        seconds=seconds,
        cpu_seconds=spent,
        rss_mib=memory_mib(pid, "VmRSS"),
        rss_max_mib=memory_mib(pid, "VmHWM"),
        p50_ms=tally.percentile_ms(0.50),
        p99_ms=tally.percentile_ms(0.99),
        errors=dict(tally.errors),
    )


if __name__ == "__main__":
    main()
