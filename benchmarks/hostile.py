"""How long other clients wait while one floods the server: `python -m benchmarks.hostile`.

For each flood of `benchmarks.floods`, two connections send it one request after the other, as fast as they are
answered, while two other clients send a small request every 50 ms: one over gRPC on a connection that it keeps, one
over HTTP on a new connection each time. `/ready` and ClickHouse's port are asked beside them. Before the first flood
the same is measured without one. It prints Markdown: milliseconds of the others' acknowledgement and of the probes.

The exit code is 1 when the worst p99 is over the bound, or when a request of another client was not taken.
"""

import argparse
import http.client
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import grpc

from benchmarks import servers
from benchmarks.floods import FLOODS, PROTOBUF, Flood, HalfSent, logs, unfinished_gzip
from benchmarks.floods import field as part
from benchmarks.ingest import machine
from otlp.signals import KINDS, Signal

BOUND_MS = 2000
SENDERS = 2
EXPORT = f"/{KINDS[Signal.LOGS].service}/Export"
HALF_SENT = "60 half-sent messages"
UNFINISHED = "unfinished gzip, 14 MiB each"


def main() -> int:
    """Measure every flood, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8, help="of each flood")
    parser.add_argument("--flood", action="append", choices=[*FLOODS, HALF_SENT, UNFINISHED])
    options = parser.parse_args()
    print(machine())
    print(f"\nCommand: `{' '.join(['python -m benchmarks.hostile', *sys.argv[1:]])}`\n")
    print(
        "| flood | on the wire, bytes | answered | gRPC p50 | p99 | HTTP p50 | p99 | /ready p99 | 8123 p99"
        " | not taken |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    is_fast = True
    with (
        tempfile.TemporaryDirectory(prefix="hostile-") as directory,
        servers.ours(Path(directory), None) as server,
    ):
        bench = Bench(servers.listening(server), options.seconds)
        for name in ["none", *(options.flood or [*FLOODS, HALF_SENT, UNFINISHED])]:
            is_fast &= bench.measure(name)
    return 0 if is_fast else 1


@dataclass(slots=True)
class Waits:
    """What one client waited, in milliseconds, and how many of its requests were not taken."""

    ms: list[float] = field(default_factory=list)
    failed: int = 0

    def quantile(self, percent: int) -> float:
        """Return a percentile, infinity when hardly anything was answered."""
        return (
            quantiles(self.ms, n=100, method="inclusive")[percent - 1] if len(self.ms) > 1 else float("inf")
        )


class Bench:
    """One server, and what is measured of it."""

    def __init__(self, listening: dict[str, str], seconds: float) -> None:
        self._listening = listening
        self._seconds = seconds
        self._numbers = 0

    def measure(self, name: str) -> bool:
        """Measure one flood, print its row, and return whether the others were served in time."""
        over = threading.Event()
        size, answered = 0, Waits()
        attackers: list[Callable[[], None]] = []
        if name in FLOODS:
            flood = FLOODS[name]
            size = len(flood.compressed(0))
            made = [flood.compressed(self._numbers + number) for number in range(12)]
            self._numbers += len(made)
            attackers = [
                lambda some=made[at::SENDERS]: self._send(flood, some, answered, over)
                for at in range(SENDERS)
            ]
        elif name == HALF_SENT:
            attackers = [lambda: self._half_send(answered, over)]
        elif name == UNFINISHED:
            size = len(unfinished_gzip(14 << 20))
            attackers = [lambda: self._unfinished(answered, over)]
        clients = {one: Waits() for one in (self._grpc, self._http, self._ready, self._ask)}
        threads = [threading.Thread(target=one) for one in attackers]
        threads += [
            threading.Thread(target=_repeat, args=(one, waits, over)) for one, waits in clients.items()
        ]
        for thread in threads:
            thread.start()
        time.sleep(self._seconds)
        over.set()
        for thread in threads:
            thread.join()
        by_grpc, by_http, ready, asked = clients.values()
        failed = sum(waits.failed for waits in clients.values())
        print(
            f"| {name} | {size:,} | {len(answered.ms)} | {by_grpc.quantile(50):.0f} | {by_grpc.quantile(99):.0f}"
            f" | {by_http.quantile(50):.0f} | {by_http.quantile(99):.0f} | {ready.quantile(99):.0f}"
            f" | {asked.quantile(99):.0f} | {failed} |",
            flush=True,
        )
        return not failed and max(by_grpc.quantile(99), by_http.quantile(99)) <= BOUND_MS

    def _small(self) -> bytes:
        self._numbers += 1
        return logs(part(5, part(1, b"request %d of another client" % self._numbers)))

    def _grpc(self) -> Callable[[], bool]:
        channel = grpc.insecure_channel(
            self._listening["otlp_grpc"], options=[("grpc.use_local_subchannel_pool", 1)]
        )
        export = channel.unary_unary(EXPORT)

        def send() -> bool:
            try:
                export(self._small(), timeout=60)
            except grpc.RpcError:
                return False
            return True

        return send

    def _http(self) -> Callable[[], bool]:
        return lambda: self._post(self._small(), {"Content-Type": PROTOBUF}) == http.client.OK

    def _ready(self) -> Callable[[], bool]:
        return lambda: self._get("health", "/ready") == http.client.OK

    def _ask(self) -> Callable[[], bool]:
        return lambda: self._get("clickhouse_http", "/ping") == http.client.OK

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection(self._listening["otlp_http"], timeout=60)
        try:
            connection.request("POST", "/v1/logs", body, headers)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def _get(self, port: str, path: str) -> int:
        connection = http.client.HTTPConnection(self._listening[port], timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def _send(self, flood: Flood, made: Sequence[bytes], answered: Waits, over: threading.Event) -> None:
        connection = http.client.HTTPConnection(self._listening["otlp_http"], timeout=120)
        headers = {"Content-Type": flood.content_type, "Content-Encoding": "gzip"}
        number = 0
        while not over.is_set():
            begun = time.monotonic()
            with suppress(OSError, http.client.HTTPException):
                connection.request("POST", f"/v1/{flood.signal}", made[number % len(made)], headers)
                connection.getresponse().read()
            answered.ms.append(1000 * (time.monotonic() - begun))
            number += 1
        connection.close()

    def _half_send(self, answered: Waits, over: threading.Event) -> None:
        host, _, port = self._listening["otlp_grpc"].rpartition(":")
        flood = [HalfSent((host, int(port)), 10, 8 << 20) for _ in range(6)]
        while not over.is_set():
            for one in flood:
                one.pump()
        for one in flood:
            answered.ms += [0.0] * len(one.ended)
            one.__exit__(None, None, None)

    def _unfinished(self, answered: Waits, over: threading.Event) -> None:
        body = unfinished_gzip(14 << 20)
        connections: list[http.client.HTTPConnection] = []
        while not over.is_set():
            connection = http.client.HTTPConnection(self._listening["otlp_http"], timeout=60)
            connection.putrequest("POST", "/v1/logs")
            for name, value in (
                ("Content-Type", PROTOBUF),
                ("Content-Encoding", "gzip"),
                ("Content-Length", "9999999"),
            ):
                connection.putheader(name, value)
            connection.endheaders()
            connection.send(body)
            connections.append(connection)
            answered.ms.append(0.0)
            over.wait(0.1)
        for connection in connections:
            connection.close()


def _repeat(made: Callable[[], Callable[[], bool]], waits: Waits, over: threading.Event) -> None:
    send = made()
    while not over.wait(0.05):
        begun = time.monotonic()
        if not send():
            waits.failed += 1
        waits.ms.append(1000 * (time.monotonic() - begun))


if __name__ == "__main__":
    sys.exit(main())
