"""A server as a real process: started on any free ports, stopped with real signals, its tables read afterwards."""

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

from clickhouse.endpoint import Endpoint
from otlp.signals import KINDS, Signal
from tests import prepared

ROOT = Path(__file__).parent.parent
# Packages that only tests need, which the engine and the log import where they find them: 0.3 s of each process.
AS_INSTALLED = {
    "PYTHONPATH": os.pathsep.join(
        filter(None, [str(Path(__file__).parent / "as_installed"), os.environ.get("PYTHONPATH")])
    )
}
CAPTURES = Path(__file__).parent / "data" / "captures"
_START_SECONDS = 180
# Tests that run side by side, one process a worker, each have a stretch of ports of their own.
_STRETCH = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16
_PORTS = itertools.count(12_000 + 1_250 * _STRETCH + secrets.randbelow(600))
# Nothing here speaks TLS, and httpx would load the system's certificates again for each call.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# In the log as JSON, or in the banner of the other format.
_HEALTH = re.compile(rb'"health": ?"[^"]*:(\d+)"|^  Health +http://\S*:(\d+)/ready$', re.MULTILINE)
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
    """Return a port that nothing listens on; neither the system nor another test of this run gives it to anyone else.

    For what must know its port before it listens, or have the same one after a restart. All else takes port 0.
    """
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("all ports are taken")


def eventually(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while not holds():
        assert time.monotonic() < deadline, "the condition did not come to hold in time"
        time.sleep(pause)
        pause = min(
            pause * 1.3, 0.2
        )  # what it looks at is often a page of metrics, which costs the server too


@contextmanager
def running(data: Path, **environment: str) -> Iterator["Server"]:
    """Start a server over a copy of the prepared store; it is ready, and killed at the end."""
    prepared.fill(data, environment)
    server = Server(data, environment)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.kill()


class Server:
    """`telemetry serve` in a process of its own, at a terminal if one is given."""

    def __init__(self, data: Path, environment: Mapping[str, str], terminal: int | None = None) -> None:
        self.data = data
        self.log = data.with_name(f"{data.name}-{time.monotonic_ns()}.log")
        names = ("OTLP_GRPC", "OTLP_HTTP", "METRICS", "HEALTH", "CLICKHOUSE_HTTP")
        ports = {f"TELEMETRY_{name}_PORT": "0" for name in names}
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
                    **AS_INSTALLED,
                    **ports,
                    "TELEMETRY_WEB_PORT": "off",
                    "TELEMETRY_DATA_DIR": str(data),
                    "TELEMETRY_LOG_FORMAT": "json",
                    # Tests send the same requests again and again, and mean it.
                    "TELEMETRY_RESEND_SECONDS": "0",
                    # Tests say what the hash of a text is.
                    "TELEMETRY_HASH_KEY": "off",
                    **environment,
                },
                stdin=terminal,
                stdout=log if terminal is None else terminal,
                stderr=log if terminal is None else terminal,
            )
        self.listening: dict[str, str] = {}

    def wait_until_ready(self, seconds: float = _START_SECONDS) -> None:
        """Wait until the server says in its log where it listens, and its health endpoint agrees."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(
                    f"the server exited with {self.process.returncode}: {self.log.read_text()}"
                )
            if _HEALTH.search(self.log.read_bytes()):
                answer = httpx.get(f"http://127.0.0.1:{self.health_port}/ready", timeout=60, verify=NO_TLS)
                if answer.status_code == 200:
                    self.listening = answer.json()["listening"]
                    return
            time.sleep(0.02)
        raise AssertionError(f"the server was not ready in time: {self.log.read_text()}")

    @property
    def health_port(self) -> int:
        """The port of its health endpoint, known once it is ready."""
        found = _HEALTH.search(self.log.read_bytes())
        assert found, "the server has not said where it listens"
        return int(found[1] or found[2])

    @property
    def http(self) -> str:
        return f"http://{self.listening['otlp_http']}"

    @property
    def passwords(self) -> dict[str, str]:
        """The passwords of its users on the ClickHouse interface, by the settings' names."""
        lines = (self.data / "credentials.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def resident_bytes(self) -> int:
        """The memory that it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) << 10

    def channel(self, **options: Any) -> grpc.Channel:
        return grpc.insecure_channel(
            self.listening["otlp_grpc"],
            options=[("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)],
            **options,
        )

    def wait_until_stored(self, seconds: float = 300) -> None:
        """Wait until nothing waits in the spool: of a batch over many days the nearest are stored at once."""

        def is_empty() -> bool:
            shown = httpx.get(f"http://{self.listening['metrics']}/metrics", timeout=180, verify=NO_TLS).text
            waiting = re.findall(r"^telemetry_waiting_blocks{.*} (\S+)$", shown, re.MULTILINE)
            return bool(waiting) and all(float(count) == 0 for count in waiting)

        eventually(is_empty, seconds)

    def export(self, name: str, body: bytes, **call: Any) -> bytes:
        """Send one serialized request over gRPC and return the raw response."""
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
            timeout=180,
            verify=NO_TLS,
        )

    def connect(self, name: str = "otlp_http") -> socket.socket:
        """Open a bare connection, for what no client library sends."""
        host, _, port = self.listening[name].removeprefix("https://").rpartition(":")
        return socket.create_connection((host, int(port)), timeout=180)

    @contextmanager
    def held_open(self) -> Iterator[None]:
        """Begin a request that ends with the block: a stop waits for it, however busy the machine is."""
        fields = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        with self.connect() as connection:
            connection.sendall(b"POST /v1/traces HTTP/1.1\r\n" + fields + b"\r\n{")
            yield
            connection.sendall(b"}")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")

    def endpoint(self, *, writes: bool = False) -> Endpoint:
        """Return the ClickHouse interface, as the user who only reads or the one who writes."""
        lines = (self.data / "credentials.env").read_text().splitlines()
        setting = "CLICKHOUSE_PASSWORD" if writes else "TELEMETRY_READER_PASSWORD"
        password = dict(line.split("=", 1) for line in lines)[setting]
        user = "telemetry_user" if writes else "telemetry_reader"
        url = f"http://{self.listening['clickhouse_http']}"
        return Endpoint(url, user, password, "telemetry", password_setting=setting)

    def metric(self, name: str, **labels: str) -> float:
        """Sum a metric's samples that have these labels."""
        text = httpx.get(f"http://{self.listening['metrics']}/metrics", timeout=180, verify=NO_TLS).text
        total = 0.0
        for found in re.finditer(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE):
            pairs = dict(re.findall(r'(\w+)="([^"]*)"', found[1] or ""))
            if labels.items() <= pairs.items():
                total += float(found[2])
        return total

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(180)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(180)

    def rows(self, *queries: str) -> list[list[dict[str, Any]]]:
        """Read the tables of a stopped server, in a process of its own; times are text in seconds."""
        assert self.process.poll() is not None, (
            "only one process can open a data directory: stop the server first"
        )
        done = subprocess.run(
            [sys.executable, "-c", _READ, str(self.data)],
            cwd=ROOT,
            env={**os.environ, **AS_INSTALLED},
            input=json.dumps(queries),
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]
