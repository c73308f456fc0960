"""The processes that a benchmark compares: this server in both modes, its peers, and the sink.

Each starter returns when the server accepts requests; leaving its `with` block sends SIGTERM and waits. A
server's output goes to a file in its directory, and its last lines are in the error when it does not start.
All of them listen on 127.0.0.1 only, on ports that were free a moment before.
"""

import http.client
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import orjson

from benchmarks import collector_private

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
STOP_SECONDS = 30
COLLECTOR_VARIABLE = "OTELCOL"


class StartError(Exception):
    """A server that did not start, with its last output."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    process: subprocess.Popen[bytes]
    target: str
    """HOST:PORT of its OTLP/gRPC server; of the sink, its HTTP server."""
    directory: Path
    http: str = ""
    """HOST:PORT of its OTLP/HTTP server, where it has one."""

    def stop(self) -> None:
        """Send SIGTERM and wait for the end; kill what does not end."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def ours(directory: Path, sink: Server | None, data: Path | None = None, **settings: str) -> Iterator[Server]:
    """Start `telemetry serve`, writing to the sink in server mode, or to its own tables without one.

    `data` is its data directory, None: a new one in `directory`. `settings` are variables of its environment.
    """
    health = free_port()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TELEMETRY_", "CLICKHOUSE_"))
    }
    environment |= {
        "TELEMETRY_OTLP_GRPC_PORT": "0",
        "TELEMETRY_OTLP_HTTP_PORT": "0",
        "TELEMETRY_CLICKHOUSE_HTTP_PORT": "0",
        "TELEMETRY_METRICS_PORT": "0",
        "TELEMETRY_WEB_PORT": "off",
        "TELEMETRY_HEALTH_PORT": str(health),
        "TELEMETRY_DATA_DIR": str(data or directory / "data"),
        "TELEMETRY_LOG_FORMAT": "json",
        # The load sends the same requests again and again, which would not be stored twice.
        "TELEMETRY_RESEND_SECONDS": "0",
        **settings,
    }
    # As scripts/start.sh installs it: the tests' pyarrow, which the engine imports where it finds it, is 45 MiB.
    environment["PYTHONPATH"] = str(ROOT / "tests" / "as_installed")
    if sink:
        environment |= {
            "CLICKHOUSE_URL": f"http://{sink.target}",
            "CLICKHOUSE_USER": "telemetry_user",
            "CLICKHOUSE_PASSWORD": secrets.token_hex(16),
        }
    command = [sys.executable, "-m", "telemetry", "serve"]

    def ready() -> str | None:
        try:
            (directory / "ready.json").write_bytes(_get(f"http://127.0.0.1:{health}/ready"))
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return None
        return str(orjson.loads((directory / "ready.json").read_bytes())["listening"]["otlp_grpc"])

    with running("ours" if sink else "ours-embedded", command, directory, ready, environment) as server:
        yield replace(server, http=listening(server)["otlp_http"])


@contextmanager
def rotel(directory: Path, sink: Server, *, is_private: bool = False) -> Iterator[Server]:
    """Start rotel as its wheel ships it, with its ClickHouse exporter at its defaults.

    `is_private`: with `benchmarks.rotel_processor`.
    """
    grpc_port, http_port = free_port(), free_port()
    command = [
        str(rotel_agent()),
        *("start", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc_port}"),
        *("--otlp-http-endpoint", f"127.0.0.1:{http_port}"),
        *("--exporter", "clickhouse", "--clickhouse-exporter-endpoint", f"http://{sink.target}"),
        *("--log-file", str(directory / "rotel.log"), "--pid-file", str(directory / "rotel.pid")),
    ]
    if is_private:
        processor = str(ROOT / "benchmarks" / "rotel_processor.py")
        command += ["--otlp-with-trace-processor", processor, "--otlp-with-logs-processor", processor]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    name = "rotel, private" if is_private else "rotel"
    with running(name, command, directory, connects(grpc_port), environment) as server:
        yield replace(server, http=f"127.0.0.1:{http_port}")


@contextmanager
def collector(directory: Path, sink: Server, *, is_private: bool = False) -> Iterator[Server]:
    """Start the OpenTelemetry Collector whose binary the variable `OTELCOL` names, by benchmarks/collector.yaml.

    `is_private`: with what `benchmarks.collector_private` adds.
    """
    binary = os.environ.get(COLLECTOR_VARIABLE)
    if not binary:
        raise StartError(
            f"set {COLLECTOR_VARIABLE} to the Collector's binary; docs/performance.md says how to get it"
        )
    grpc_port, http_port = free_port(), free_port()
    command = [binary, "--config", str(ROOT / "benchmarks" / "collector.yaml")]
    if is_private:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "private.yaml").write_text(collector_private.configuration())
        command += ["--config", str(directory / "private.yaml")]
    environment = os.environ | {
        "GRPC_PORT": str(grpc_port),
        "HTTP_PORT": str(http_port),
        "CLICKHOUSE_PORT": sink.target.rpartition(":")[2],
    }
    name = "Collector, private" if is_private else "Collector"
    with running(name, command, directory, connects(grpc_port), environment) as server:
        yield replace(server, http=f"127.0.0.1:{http_port}")


@contextmanager
def naive(directory: Path, sink: Server) -> Iterator[Server]:
    """Start the straightforward receiver of `benchmarks.naive`."""
    port = sink.target.rpartition(":")[2]
    command = [sys.executable, "-m", "benchmarks.naive", "--clickhouse-port", port]
    with running("naive", command, directory, first_line(directory)) as server:
        yield server


@contextmanager
def discarding_sink(directory: Path) -> Iterator[Server]:
    """Start the sink of `benchmarks.sink`."""
    with running(
        "sink", [sys.executable, "-m", "benchmarks.sink"], directory, first_line(directory)
    ) as server:
        yield server


def rotel_agent() -> Path:
    """Return the binary inside the installed `rotel` package."""
    package = find_spec("rotel")
    if package is None or package.origin is None:
        raise StartError("rotel is not installed; run: pip install -e '.[bench]'")
    return Path(package.origin).with_name("rotel-agent")


def listening(server: Server) -> dict[str, str]:
    """Return the address of each port of one of this project's servers."""
    return dict(orjson.loads((server.directory / "ready.json").read_bytes())["listening"])


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  an address on this machine
        return bytes(answer.read())


def swallowed(sink: Server) -> int:
    """Return how many bytes of inserts the sink has received."""
    return int(orjson.loads(_get(f"http://{sink.target}/stats"))["bytes"])


@contextmanager
def running(
    name: str,
    command: list[str],
    directory: Path,
    ready: Callable[[], str | None],
    environment: dict[str, str] | None = None,
) -> Iterator[Server]:
    """Run the command until the block is left; `ready` returns the server's address once it listens."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    server = Server(name, process, "", directory)
    try:
        deadline = time.monotonic() + START_SECONDS
        while (target := ready()) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                ended = f"ended with {process.returncode}" if process.poll() is not None else "is not ready"
                raise StartError(f"{name} {ended}; its last words:\n{last_words(directory)}")
            time.sleep(0.05)
        yield Server(name, process, target, directory)
    finally:
        server.stop()


def first_line(directory: Path) -> Callable[[], str | None]:
    """Return a check that reads the port which a server prints on its first line."""

    def ready() -> str | None:
        port = re.match(rb"(\d+)\n", (directory / "output").read_bytes())
        return f"127.0.0.1:{int(port[1])}" if port else None

    return ready


def connects(port: int) -> Callable[[], str | None]:
    """Return a check that connects to a port."""

    def ready() -> str | None:
        with socket.socket() as probe:
            return f"127.0.0.1:{port}" if probe.connect_ex(("127.0.0.1", port)) == 0 else None

    return ready


def last_words(directory: Path) -> str:
    """Return the last twenty lines that a server printed."""
    return "\n".join((directory / "output").read_text(errors="replace").splitlines()[-20:])


def free_port() -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
