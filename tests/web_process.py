"""`telemetry web` by itself, in a process of its own, with a kind of system that this suite installs."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.connector_kinds import installed
from tests.server import NO_TLS, ROOT, eventually

_PORT = re.compile(r'"port": ?(\d+)')
ALICE = {"Authorization": "Bearer hunter2-alice"}
BOB = {"Authorization": "Bearer hunter2-bob"}


@dataclass(slots=True)
class Web:
    """A running web process."""

    data: Path
    log: Path
    url: str
    process: "subprocess.Popen[bytes]"
    environment: dict[str, str]

    def call(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Send a request below /api/v1/observability, as alice unless another is named."""
        address = path if path.startswith("/") else f"/api/v1/observability/{path}"
        return httpx.request(
            method,
            self.url + address,
            headers={**ALICE, **(headers or {})},
            timeout=180,
            verify=NO_TLS,
            **more,
        )


def environment(data: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process of the program, with the kind `plain` installed."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TELEMETRY_", "CLICKHOUSE_"))
    }
    return {
        **kept,
        **installed(data.with_name(f"{data.name}-kinds")),
        "TELEMETRY_DATA_DIR": str(data),
        "TELEMETRY_LOG_FORMAT": "json",
        "TELEMETRY_WEB_PORT": "0",
        "TELEMETRY_WEB_TOKENS": "alice:hunter2-alice,bob:hunter2-bob",
        "TELEMETRY_CONNECTOR_QUERIES_PER_MINUTE": "100000",
        "TELEMETRY_CONNECTOR_QUERIES_AT_ONCE": "100000",
        "CLICKHOUSE_URL": "http://127.0.0.1:9",
        **more,
    }


@contextmanager
def web(data: Path, **more: str) -> Iterator[Web]:
    """Run the process until the end."""
    given = environment(data, **more)
    log = data.with_name(f"{data.name}.log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "telemetry", "web"], cwd=ROOT, env=given, stdout=file, stderr=file
        )
    try:
        eventually(lambda: process.poll() is not None or _PORT.search(log.read_text()) is not None, 180)
        found = _PORT.search(log.read_text())
        assert found, log.read_text()
        yield Web(data, log, f"http://127.0.0.1:{found[1]}", process, given)
    finally:
        process.terminate()
        process.wait(180)
