"""A real Prometheus, filled by its remote write interface."""

import json
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.promql.samples import BASE, COUNT, EVERY, STALE, prometheus_series

VARIABLE = "TELEMETRY_TEST_PROMETHEUS"
_STALE_BITS = struct.pack("<Q", 0x7FF0_0000_0000_0002)
_SLICE_MS = 600_000


@contextmanager
def prometheus(program: Path, folder: Path) -> Iterator[str]:
    """Run Prometheus, filled with the samples, and yield its address."""
    config = folder / "prometheus.yml"
    config.write_text("{}\n")
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
            "--storage.tsdb.retention.time=100y", "--log.level=error",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(url, process)
        for start in range(BASE * 1000, (BASE + COUNT * EVERY) * 1000 + _SLICE_MS, _SLICE_MS):
            _write(url, start, start + _SLICE_MS)
        yield url
    finally:
        process.terminate()
        process.wait(180)


def answer(url: str, path: str, **parameters: Any) -> dict[str, Any]:
    """Return what a path of the HTTP interface answers, also when that is an error."""
    query = urllib.parse.urlencode(parameters, doseq=True)
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{query}", timeout=180) as response:
            found: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        found = json.load(error)
    return found


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 180
    while True:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=60):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _write(url: str, start: int, end: int) -> None:
    body = b""
    for labels, samples in prometheus_series():
        chosen = [(ms, value) for ms, value in samples if start <= ms < end]
        if chosen:
            pairs = [_text(1, name) + _text(2, value) for name, value in sorted(labels.items())]
            made = b"".join(_field(1, pair) for pair in pairs)
            made += b"".join(
                _field(2, b"\x09" + _double(value) + b"\x10" + _varint(ms)) for ms, value in chosen
            )
            body += _field(1, made)
    if not body:
        return
    request = urllib.request.Request(
        f"{url}/api/v1/write",
        _snappy(body),
        {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"},
    )
    with urllib.request.urlopen(request, timeout=180):
        pass


def _double(value: Any) -> bytes:
    return _STALE_BITS if value is STALE else struct.pack("<d", value)


def _text(number: int, value: str) -> bytes:
    return _field(number, value.encode())


def _field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def _snappy(data: bytes) -> bytes:
    """Return data in snappy's format, uncompressed: literals of at most 65,536 bytes."""
    made = _varint(len(data))
    for place in range(0, len(data), 1 << 16):
        piece = data[place : place + (1 << 16)]
        made += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return made
