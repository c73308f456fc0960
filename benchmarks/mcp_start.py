"""Measures how soon `telemetry mcp` answers, beside a bare `mcp` server: `python -m benchmarks.mcp_start`.

Both are started in turn over standard input and output, and asked what Claude Code asks first: what the server is, and
which tools it has. The figures are medians of the time from the start of the process to the last answer, and of the
process's CPU time until its end, of which the ratio depends less on other load of the machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.ingest import machine, verdict
from benchmarks.servers import ROOT

BARE: Final = """
from mcp.server import MCPServer

server = MCPServer("bare")


@server.tool()
def double(number: int) -> int:
    return 2 * number


server.run()
"""
VERSION: Final = "2026-07-28"
TARGET_SECONDS: Final = 2.0
_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Started:
    """One start: seconds to the last answer, CPU-seconds of the process, and its largest resident size."""

    seconds: float
    cpu_seconds: float
    mib: float


def main() -> int:
    """Start each server in turn, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(machine())
    print(f"\nCommand: `{' '.join(['python -m benchmarks.mcp_start', *sys.argv[1:]])}`")
    found: dict[str, list[Started]] = {"telemetry mcp": [], "bare": []}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        bare = Path(directory) / "bare.py"
        bare.write_text(BARE)
        commands = {
            "telemetry mcp": [sys.executable, "-m", "telemetry", "mcp"],
            "bare": [sys.executable, str(bare)],
        }
        for number in range(options.rounds + 1):
            for name, command in commands.items():
                started = start(command, Path(directory))
                # The first start reads files that are not in memory yet.
                if number:
                    found[name].append(started)
    print("\n| server | ready after s | CPU-seconds | max RSS MiB |\n|---|---|---|---|")
    for name, each in found.items():
        figures = [median(values) for values in zip(*map(_figures, each), strict=True)]
        print(f"| {name} | {figures[0]:.2f} | {figures[1]:.2f} | {figures[2]:.0f} |")
    ours, theirs = ([one.cpu_seconds for one in each] for each in found.values())
    ready = median(one.seconds for one in found["telemetry mcp"])
    print(
        f"\n{median(ours) / median(theirs):.2f} times the CPU time of the bare server. Ready in {ready:.2f} s;"
        f" {verdict(ready < TARGET_SECONDS, f'under {TARGET_SECONDS:g} s on a quiet machine')}."
    )
    return 0


def start(command: list[str], directory: Path) -> Started:
    """Start a server, ask it for its name and its tools, and let it end."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TELEMETRY_", "CLICKHOUSE_"))
    } | {"TELEMETRY_DATA_DIR": str(directory / "data")}
    begun = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None  # noqa: S101  it was asked for
    assert process.stdout is not None  # noqa: S101
    for number, method in enumerate(("server/discover", "tools/list")):
        process.stdin.write(json.dumps(request(number, method)).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        if "result" not in answer:
            raise SystemExit(f"{command} answered {method} with {answer}")
    seconds = time.monotonic() - begun
    process.stdin.close()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return Started(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def request(number: int, method: str, **params: Any) -> dict[str, Any]:
    """Return a request of the newest version of the protocol."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": meta}}


def _figures(started: Started) -> tuple[float, float, float]:
    return started.seconds, started.cpu_seconds, started.mib


if __name__ == "__main__":
    sys.exit(main())
