"""Runs the real programs of other systems, where the environment names them."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2


@contextmanager
def program_running(
    command: Sequence[str],
    folder: Path,
    ready: str,
    environment: Mapping[str, str] | None = None,
    seconds: float = 60,
) -> Iterator[None]:
    """Run a program in a folder until the block ends; the block begins when the address `ready` answers 200."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env={**os.environ, **(environment or {})}
        )
    try:
        _wait(ready, process, folder / "log", seconds)
        yield
    finally:
        process.terminate()
        process.wait(180)


def _wait(ready: str, process: "subprocess.Popen[bytes]", log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        assert process.poll() is None, f"it ended: {log.read_text('utf-8', 'replace')[-2000:]}"
        try:
            if httpx2.get(ready, timeout=60).is_success:
                return
        except httpx2.TransportError:
            pass
        assert time.monotonic() < deadline, f"it is not ready: {log.read_text('utf-8', 'replace')[-2000:]}"
        time.sleep(0.05)


def free_port() -> int:
    """Return a port that nothing listens to at this moment."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
