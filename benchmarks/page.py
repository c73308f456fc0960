"""Measures the page over many events: `python -m benchmarks.page --events 10000000 --directory KEPT`.

The data are those of `benchmarks.queries`, made where they are not in the directory yet. `telemetry serve` runs on them
with its web process, which is asked over HTTP as a browser asks. Three things are measured: how long a view takes to
its first byte and how large it is with its scripts, with no cache and again as by default; how long after an event's
acknowledgement an open page has it; and what viewers cost ingest, as the ratio of its p99 latencies with
them and without, each the median of alternating rounds.

Times depend on the machine and its other load; the ratios depend on it less.
"""

import argparse
import asyncio
import gzip
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
import orjson

from benchmarks import corpus, servers
from benchmarks.ingest import machine, verdict
from benchmarks.load import cpu_seconds
from benchmarks.tools import RETENTION_DAYS, UNCACHED, fill, interface

TARGET_MS: Final = 200
TARGET_SHARE: Final = 0.9
TARGET_BYTES: Final = 100 * 1024
TARGET_LIVE_SECONDS: Final = 2.0
TARGET_RATIO: Final = 1.1
STATIC: Final = Path(__file__).parent.parent / "web/page/static"
VIEWS: Final = (
    "/", "/part/now", "/sessions", "/sessions?order=usd", "/traces", "/errors", "/cost", "/tools", "/mcp-servers",
    "/people", "/security", "/data", "/tail", "/ask", "/ask/cost_by", "/ask/summary", "/connections", "/sql",
    "/?period=24h", "/errors?period=24h", "/cost?period=24h", "/cost?period=30d", "/?project=web&period=24h",
)  # fmt: skip
ITEMS: Final = 50
"""Records of a request of the load."""


def main() -> int:
    """Make the data unless they are there, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--rate", type=float, default=1_000, help="records a second while viewers look")
    parser.add_argument("--seconds", type=float, default=10, help="of load in each round")
    parser.add_argument("--only", choices=("views", "live", "viewers"), help="measure only this")
    parser.add_argument("--directory", type=Path, help="keep the data here, or use those that are here")
    options = parser.parse_args()
    print(machine())
    print(f"\nCommand: `{' '.join(['python -m benchmarks.page', *sys.argv[1:]])}`")
    directory = options.directory or Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        fill(directory, options.events, options.days)
        if options.only in {None, "views"}:
            with started(directory, **UNCACHED) as server:
                found = asyncio.run(seen(server, directory, options.rounds))
                print(report(found, "without any cache"), flush=True)
        with started(directory) as server:
            if options.only in {None, "views"}:
                found = asyncio.run(seen(server, directory, options.rounds))
                print(report(found, "as by default"), flush=True)
            if options.only in {None, "live"}:
                print(asyncio.run(live(server, directory, options.rounds)), flush=True)
            if options.only in {None, "viewers"}:
                print(asyncio.run(watched(server, directory, options)), flush=True)
    finally:
        if options.directory is None:
            shutil.rmtree(directory)
    return 0


@contextmanager
def started(data: Path, **settings: str) -> Iterator[servers.Server]:
    """Start `telemetry serve` on the data, with its web process."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as output,
        servers.ours(
            Path(output),
            None,
            data,
            TELEMETRY_WEB_PORT="0",
            TELEMETRY_RETENTION_DAYS=str(RETENTION_DAYS),
            **settings,
        ) as server,
    ):
        yield server


@asynccontextmanager
async def browser(server: servers.Server, data: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client that is logged in."""
    headers = {"Accept": "text/html", "Accept-Encoding": "gzip"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=base(server), headers=headers, timeout=120, trust_env=False, limits=limits
    ) as http:
        deadline = time.monotonic() + servers.START_SECONDS
        while True:
            try:
                answer = await http.get("/login", params={"token": token(data)})
                break
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise SystemExit(f"The log-in was refused: {answer.status_code}")
        yield http


def base(server: servers.Server) -> str:
    """Return the address of the page."""
    return f"http://{servers.listening(server)['web']}"


def token(data: Path) -> str:
    """Return the owner's token."""
    lines = (data / "credentials.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)["TELEMETRY_WEB_TOKEN"]


@dataclass(slots=True)
class Seen:
    """What a view took in each round, in milliseconds to its first byte and to its last, and its bytes as sent."""

    path: str
    ms: list[float] = field(default_factory=list)
    whole_ms: list[float] = field(default_factory=list)
    first_cpu_ms: list[float] = field(default_factory=list)
    """Of the server and its web process until the first byte: on a busy machine this says more than the time."""
    cpu_ms: list[float] = field(default_factory=list)
    size: int = 0

    def row(self) -> str:
        """Return the table's row."""
        found = (self.ms, self.first_cpu_ms, self.whole_ms, self.cpu_ms)
        times = [median(self.ms), max(self.ms), *(median(one) for one in found[1:])]
        cells = [f"{one:.0f}" for one in times]
        return f"| {self.path.split('id=')[0]} | {' | '.join(cells)} | {self.size / 1024:.1f} |"


async def asked(
    server: servers.Server, http: httpx.AsyncClient, path: str
) -> tuple[float, float, int, float, float]:
    """Ask a view, again when more than a person may ask was asked: views that are kept are answered that fast.

    Return the CPU-seconds and the time at which it was asked, its bytes, the CPU-seconds and ms to its first byte.
    """
    while True:
        before, begun = cpu_seconds(server.process.pid), time.monotonic()
        async with http.stream("GET", path) as answer:
            chunks = answer.aiter_raw()
            size = len(await anext(chunks))
            ms = 1000 * (time.monotonic() - begun)
            first_cpu = cpu_seconds(server.process.pid) - before
            size += sum([len(chunk) async for chunk in chunks])
        if answer.status_code == httpx.codes.OK:
            return before, begun, size, first_cpu, ms
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            raise SystemExit(f"{path} was refused: {answer.status_code}")
        await asyncio.sleep(1)


async def seen(server: servers.Server, data: Path, rounds: int) -> list[Seen]:
    """Ask each view, once to warm the processes up and then round by round."""
    async with browser(server, data) as http:
        found = await interface(server, data).ask(
            http, "SELECT any(session_id) FROM telemetry_sessions WHERE day = today() - 3", {}
        )
        session = found.splitlines()[2].decode().strip('[]"')
        views = [Seen(path) for path in (*VIEWS, f"/session?id={session}")]
        for number in range(rounds + 1):
            for view in views:
                before, begun, size, first_cpu, ms = await asked(server, http, view.path)
                view.size = size
                if number:
                    view.ms.append(ms)
                    view.first_cpu_ms.append(1000 * first_cpu)
                    view.whole_ms.append(1000 * (time.monotonic() - begun))
                    view.cpu_ms.append(1000 * (cpu_seconds(server.process.pid) - before))
    return views


def report(views: Sequence[Seen], words: str) -> str:
    """Return the table of views, and the lines about the targets."""
    files = {path.name: len(gzip.compress(path.read_bytes())) for path in STATIC.iterdir()}
    scripts = files["htmx.min.js"] + files["page.js"] + files["style.css"]
    share = sum(median(view.ms) < TARGET_MS for view in views) / len(views)
    largest = max(view.size for view in views) + scripts
    is_fast = verdict(share >= TARGET_SHARE, f"at least {TARGET_SHARE:.0%}")
    is_small = verdict(largest < TARGET_BYTES, f"under {TARGET_BYTES // 1024} KiB")
    return "\n".join(
        [
            f"\n| view, {words} | first byte, ms, median | most | CPU ms | whole, ms | CPU ms | KiB |",
            "|---|---|---|---|---|---|---|",
            *(view.row() for view in views),
            f"\nUnder {TARGET_MS} ms: {share:.0%} of {len(views)} views; {is_fast}.",
            f"The largest has {largest / 1024:.0f} KiB with its scripts and styles; {is_small}.",
        ]
    )


async def live(server: servers.Server, data: Path, rounds: int) -> str:
    """Return how long after an acknowledgement an open page, which asks when it is told, has the event."""
    shown = []
    async with browser(server, data) as http, http.stream("GET", "/live", timeout=120) as stream:
        lines = stream.aiter_lines()
        # Told once, since its page may be from before.
        while await anext(lines) != "event: fresh":
            pass
        # What the views before asked is counted a minute.
        await asyncio.sleep(61)
        for number in range(rounds):
            # Letters: a long number may be taken for a card's, and redacted.
            name = "Bench" + "".join(chr(97 + int(digit)) for digit in f"{number}{time.time_ns()}")
            await send(server, http, name)
            acknowledged = time.monotonic()
            text = ""
            async with asyncio.timeout(60):
                while name not in text:
                    if await anext(lines) == "event: fresh":
                        text = (await http.get("/tail?part=1")).raise_for_status().text
            shown.append(time.monotonic() - acknowledged)
            await asyncio.sleep(1.5)
    is_soon = verdict(max(shown) < TARGET_LIVE_SECONDS, f"under {TARGET_LIVE_SECONDS:g} s")
    return (
        f"\nAn open page has an event {median(shown):.2f} s after its acknowledgement, {max(shown):.2f} s at most;"
        f" {is_soon}."
    )


async def send(server: servers.Server, http: httpx.AsyncClient, tool: str) -> None:
    """Send one tool call, and wait for its acknowledgement."""
    values = {
        "event.name": "tool_result",
        "session.id": "benchmark",
        "user.id": "b",
        "tool_name": tool,
        "success": "true",
    }
    record = {
        "timeUnixNano": str(time.time_ns()),
        "body": {"stringValue": "claude_code.tool_result"},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in values.items()],
    }
    scope = {"scope": {"name": "com.anthropic.claude_code.events"}, "logRecords": [record]}
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "claude-code"}}]}
    answer = await http.post(
        f"http://{servers.listening(server)['otlp_http']}/v1/logs",
        json={"resourceLogs": [{"resource": service, "scopeLogs": [scope]}]},
    )
    answer.raise_for_status()


async def watched(server: servers.Server, data: Path, options: argparse.Namespace) -> str:
    """Return what viewers cost ingest: its latencies with them and without, in alternating rounds."""
    alone, beside = [], []
    renewed = 0
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        bodies = Path(folder) / "bodies"
        # Of two days ago: among the latest events of kept data, they would hide those of the next run.
        corpus.write(bodies, corpus.logs, ITEMS, 200, time.time_ns() - 2 * 86_400 * 10**9)
        await load(server, bodies, options)
        for number in range(options.rounds):
            # The order changes, so that what grows with time falls on both.
            for is_watched in (False, True) if number % 2 else (True, False):
                if is_watched:
                    async with viewers(server, data, options.viewers) as counted:
                        beside.append(await load(server, bodies, options))
                    renewed += counted[0]
                else:
                    alone.append(await load(server, bodies, options))
    p99 = [median(one["p99_ms"] for one in found) for found in (alone, beside)]
    p50 = [median(one["p50_ms"] for one in found) for found in (alone, beside)]
    ratio = p99[1] / p99[0]
    each = ", ".join(
        f"{with_them['p99_ms'] / one['p99_ms']:.2f}" for one, with_them in zip(alone, beside, strict=True)
    )
    return (
        f"\nAt {options.rate:,.0f} records a second, ingest's p99 is {p99[0]:.0f} ms alone and {p99[1]:.0f} ms beside"
        f" {options.viewers} viewers, {ratio:.2f} times as long (medians: {p50[0]:.0f} and {p50[1]:.0f} ms);"
        f" {verdict(ratio <= TARGET_RATIO, f'at most {TARGET_RATIO:g}')}. By rounds: {each}."
        f" They renewed their view {renewed:,} times."
    )


@asynccontextmanager
async def viewers(server: servers.Server, data: Path, count: int) -> AsyncIterator[list[int]]:
    """Have viewers look meanwhile; afterwards, the list has how often they renewed their view."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.viewers", base(server), str(count)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=servers.ROOT,
    )
    assert process.stdin is not None  # noqa: S101  it was asked for
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(f"{token(data)}\n".encode())
    if await process.stdout.readline() != b"connected\n":
        raise SystemExit("The viewers did not connect.")
    counted: list[int] = []
    try:
        yield counted
    finally:
        process.stdin.close()
        said = await process.stdout.read()
        await process.wait()
    if process.returncode:
        raise SystemExit("The viewers failed.")
    counted.append(int(said))


async def load(server: servers.Server, bodies: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Send a steady load from a process of its own, and return its measurement."""
    command = ["-m", "benchmarks.load", "--target", server.target, "--pid", str(server.process.pid)]
    command += ["--signal", "logs", "--bodies", str(bodies), "--items", str(ITEMS)]
    command += ["--rate", str(options.rate), "--seconds", str(options.seconds)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, cwd=servers.ROOT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise SystemExit("The load generator failed.")
    found: dict[str, Any] = orjson.loads(output)
    if found["errors"]:
        raise SystemExit(f"Requests of the load failed: {found['errors']}")
    return found


if __name__ == "__main__":
    sys.exit(main())
