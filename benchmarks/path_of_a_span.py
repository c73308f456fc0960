"""Shows the way of one span over gRPC through a running server: each of its files, and how much of each is run.

    python -m benchmarks.path_of_a_span [--root CHECKOUT]

A server is started from the checkout with every line traced, a first span warms it up, and a second one is recorded
from its arrival to its acknowledgement. Work that goes on beside requests (replay, usage metrics, memory) is left out.
It prints Markdown: docs/architecture.md has its output.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from benchmarks.servers import free_port

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
START_SECONDS = 120
# Values of every kind that is treated in its own way: kept, hashed, redacted by a pattern, and no text.
ATTRIBUTES = {
    "tool_name": "Bash",
    "user.email": "jane.doe@example.com",
    "note": "ask jane.doe@example.com",
    "duration_ms": 12,
}

_TRACED = """
import functools, json, os, runpy, sys, threading
from collections import defaultdict

root = os.getcwd() + os.sep
beside = {"usage.py", "tuning.py", "memory.py"}
lines = defaultdict(set)
recording = False

def trace(frame, event, _):
    path = frame.f_code.co_filename
    is_ours = path.startswith(root) and "site-packages" not in path and os.path.basename(path) not in beside
    return trace_lines if is_ours and threading.current_thread().name != "replay" else None

def trace_lines(frame, event, _):
    if recording and event == "line":
        lines[frame.f_code.co_filename.removeprefix(root)].add(frame.f_lineno)
    return trace_lines

def control():
    global recording
    for command in sys.stdin:
        recording = command.strip() == "begin"
        print(json.dumps({path: len(run) for path, run in lines.items()}), flush=True)

import clickhouse.engine
register = clickhouse.engine.register

def traced_register(name, function, *types):
    # The engine calls from threads of its own, which know nothing of our trace.
    @functools.wraps(function)
    def call(*arguments):
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            return function(*arguments)
        finally:
            sys.settrace(before)
    register(name, call, *types)

clickhouse.engine.register = traced_register
threading.Thread(target=control, daemon=True).start()
threading.settrace(trace)
sys.settrace(trace)
sys.argv = ["telemetry", "serve"]
runpy.run_module("telemetry", run_name="__main__")
"""


def main() -> None:
    """Trace a span and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root.resolve()
    with tempfile.TemporaryDirectory(prefix="path-of-a-span-") as directory:
        run = traced(root, Path(directory))
    lines = {path: len((root / path).read_text(encoding="utf-8").splitlines()) for path in run}
    print("| file | lines | run |\n|---|---|---|")
    for path in sorted(run, key=lambda path: -run[path]):
        print(f"| {path} | {lines[path]:,} | {run[path]} |")
    print(f"\n{len(run)} files of {sum(lines.values()):,} lines, {sum(run.values())} of them run")


def traced(root: Path, directory: Path) -> dict[str, int]:
    """Run a server of the checkout; return how many lines of each file the second span passes."""
    health, otlp = free_port(), free_port()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TELEMETRY_", "CLICKHOUSE_"))
    }
    ports = {f"TELEMETRY_{name}_PORT": "0" for name in ("OTLP_HTTP", "METRICS", "CLICKHOUSE_HTTP")}
    server = subprocess.Popen(
        [sys.executable, "-c", _TRACED],
        cwd=root,
        env={
            **environment,
            **ports,
            "PYTHONPATH": str(root),
            "TELEMETRY_HEALTH_PORT": str(health),
            "TELEMETRY_OTLP_GRPC_PORT": str(otlp),
            "TELEMETRY_DATA_DIR": str(directory / "data"),
            "TELEMETRY_LOG_FORMAT": "json",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        _await_ready(server, health)
        with grpc.insecure_channel(f"127.0.0.1:{otlp}") as channel:
            export = channel.unary_unary(EXPORT)
            export(request(1), timeout=60)
            _tell(server, "begin")
            export(request(2), timeout=60)
            return dict(json.loads(_tell(server, "end")))
    finally:
        server.terminate()
        server.wait(60)


def request(number: int) -> bytes:
    """Return a request of one span; each number makes another trace."""
    message = ExportTraceServiceRequest()
    attributes = [
        KeyValue(
            key=key,
            value=AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value),
        )
        for key, value in ATTRIBUTES.items()
    ]
    now = time.time_ns()
    message.resource_spans.add().scope_spans.add().spans.add(
        name="claude_code.tool",
        trace_id=number.to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        start_time_unix_nano=now - 1_000_000,
        end_time_unix_nano=now,
        attributes=attributes,
    )
    return message.SerializeToString()


def _await_ready(server: subprocess.Popen[str], port: int) -> None:
    url = f"http://127.0.0.1:{port}/ready"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("the server was not ready in time")


def _tell(server: subprocess.Popen[str], command: str) -> str:
    """Send a command to the control thread; return its answer, what was recorded so far."""
    stdin, stdout = server.stdin, server.stdout
    if stdin is None or stdout is None:
        raise RuntimeError("the server was started without pipes")
    print(command, file=stdin, flush=True)
    return stdout.readline()


if __name__ == "__main__":
    main()
