"""A server as a real process: started on free ports, stopped with real signals, its tables read afterwards."""

import itertools
import json
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import httpx

from receiver.signals import KINDS, Signal

ROOT = Path(__file__).parent.parent
CAPTURES = Path(__file__).parent / "data" / "captures"
_START_SECONDS = 60
# Tests that run side by side, one process a worker, each have a stretch of ports of their own.
_STRETCH = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
_PORTS = itertools.count(12_000 + 5_000 * _STRETCH + secrets.randbelow(3_000))
# Nothing here speaks TLS, and httpx would load the system's certificates anew for each call.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_READ = """
import json, sys
from pathlib import Path
from clickhouse.engine import Engine
engine = Engine(Path(sys.argv[1]) / "clickhouse")
engine.use("telemetry")
settings = " SETTINGS date_time_output_format = 'unix_timestamp', output_format_json_quote_64bit_integers = 0"
for sql in json.load(sys.stdin):
    rows = [json.loads(line) for line in engine.query(sql + settings, None, "JSONEachRow").splitlines()]
    print(json.dumps(rows))
engine.close()
"""


def captures(name: str, suffix: str = "pb") -> list[bytes]:
    """Read the recorded requests of a signal, as real clients sent them."""
    return [path.read_bytes() for path in sorted(CAPTURES.glob(f"*/*-{name}.{suffix}"))]


def free_port() -> int:
    """Give a port that nothing listens on, below those that the system gives away, and no other test of this run."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("all ports are taken")


def eventually(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the condition did not come to hold in time"
        time.sleep(0.02)


@contextmanager
def running(data: Path, **environment: str) -> Iterator["Server"]:
    """Start a server; it is ready, and killed at the end."""
    server = Server(data, environment)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.kill()


class Server:
    """`telemetry serve` in a process of its own."""

    def __init__(self, data: Path, environment: Mapping[str, str]) -> None:
        self.data = data
        self.log = data.with_name(f"{data.name}-{time.monotonic_ns()}.log")
        self.health_port = free_port()
        ports = {
            f"TELEMETRY_{name}_PORT": "0" for name in ("OTLP_GRPC", "OTLP_HTTP", "METRICS", "CLICKHOUSE_HTTP")
        }
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TELEMETRY_", "CLICKHOUSE_"))
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "telemetry", "serve"],
                cwd=ROOT,
                env={
                    **clean,
                    **ports,
                    "TELEMETRY_HEALTH_PORT": str(self.health_port),
                    "TELEMETRY_DATA_DIR": str(data),
                    "TELEMETRY_LOG_FORMAT": "json",
                    # Tests send the same requests again and again, and mean it.
                    "TELEMETRY_RESEND_SECONDS": "0",
                    **environment,
                },
                stdout=log,
                stderr=log,
            )
        self.listening: dict[str, str] = {}

    def wait_until_ready(self, seconds: float = _START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"the server exited with {self.process.returncode}: {self.log.read_text()}"
                )
            try:
                answer = httpx.get(f"http://127.0.0.1:{self.health_port}/ready", timeout=5, verify=NO_TLS)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                self.listening = answer.json()["listening"]
                return
            time.sleep(0.05)
        raise AssertionError(f"the server was not ready in time: {self.log.read_text()}")

    @property
    def http(self) -> str:
        return f"http://{self.listening['otlp_http']}"

    def channel(self, **options: Any) -> grpc.Channel:
        return grpc.insecure_channel(
            self.listening["otlp_grpc"],
            options=[("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)],
            **options,
        )

    def export(self, name: str, body: bytes, **call: Any) -> bytes:
        """Send one serialized request over gRPC; give the raw response."""
        with self.channel() as channel:
            method = channel.unary_unary(f"/{KINDS[Signal(name)].service}/Export")
            return method(body, timeout=call.pop("timeout", 30), **call)

    def post(
        self, name: str, body: bytes, content_type: str = "application/x-protobuf", **headers: str
    ) -> httpx.Response:
        """Send one request over HTTP."""
        return httpx.post(
            f"{self.http}/v1/{name}",
            content=body,
            headers={
                "content-type": content_type,
                **{key.replace("_", "-"): value for key, value in headers.items()},
            },
            timeout=30,
            verify=NO_TLS,
        )

    def connect(self, name: str = "otlp_http") -> socket.socket:
        """Open a bare connection, for what no client library sends."""
        host, _, port = self.listening[name].removeprefix("https://").rpartition(":")
        return socket.create_connection((host, int(port)), timeout=20)

    def metric(self, name: str, **labels: str) -> float:
        """Sum a metric's samples that have these labels."""
        text = httpx.get(f"http://{self.listening['metrics']}/metrics", timeout=10, verify=NO_TLS).text
        total = 0.0
        for found in re.finditer(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE):
            pairs = dict(re.findall(r'(\w+)="([^"]*)"', found[1] or ""))
            if labels.items() <= pairs.items():
                total += float(found[2])
        return total

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    def rows(self, *queries: str) -> list[list[dict[str, Any]]]:
        """Read the tables of a stopped server, in a process of its own; times are text in seconds."""
        assert self.process.poll() is not None, (
            "only one process can open a data directory: stop the server first"
        )
        done = subprocess.run(
            [sys.executable, "-c", _READ, str(self.data)],
            cwd=ROOT,
            input=json.dumps(queries),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]
