"""Measures the tools of `telemetry mcp` over ten million events: `python -m benchmarks.tools --directory KEPT`.

The data are those of `benchmarks.queries`, made where they are not in the directory yet. `telemetry serve` runs on
them, and `telemetry mcp` beside it asks over the ClickHouse interface, as Claude Code has it. An `mcp` client makes
each call of a mix in turn, round by round, with all caches off. The table has medians: the time until the client has
the answer, the CPU time of both processes, the answer's length, and as a peer the one statement that the answer names,
sent bare over HTTP by the same user. A tool asks more than that: for freshness, completeness, further tables.

Times depend on the machine and its other load; the ratios depend on it less.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from benchmarks import queries, servers
from benchmarks.ingest import machine, verdict
from benchmarks.load import cpu_seconds
from clickhouse.engine import Engine
from clickhouse.migrations import migrate
from clickhouse.prices import load_prices, read_prices

TARGET_MS: Final = 150
TARGET_SHARE: Final = 0.9
TARGET_TOKENS: Final = 1_500
CHARACTERS_A_TOKEN: Final = 4
CUT: Final = " characters]"
"""The end of a statement that an answer does not show whole."""
RETENTION_DAYS: Final = 3_650
UNCACHED: Final = {
    "TELEMETRY_QUERY_CACHE_SECONDS": "0",
    "TELEMETRY_AGGREGATION_CACHE_SECONDS": "0",
    "TELEMETRY_QUERIES_PER_MINUTE": "1000000",
    "TELEMETRY_QUERIES_AT_ONCE": "1000000",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool."""

    tool: str
    arguments: dict[str, Any]
    words: str

    def __str__(self) -> str:
        return f"{self.tool}: {self.words}"


def calls(session: str) -> list[Call]:
    """Return the mix: each tool by how a model uses it, the common calls more than once with other arguments."""
    day = {"start_date": "24h"}
    return [
        *_queries(session, day),
        *(
            Call("analyze_patterns", {"analysis_type": kind, "time_window": window}, f"{kind}, {window}")
            for kind in ("performance_trends", "error_patterns", "usage_patterns")
            for window in ("1h", "24h", "7d", "30d")
        ),
        Call("get_statistics", {}, "sessions, all parts"),
        Call("get_statistics", {"unit": "tool_call", "filters": day}, "tool calls of a day, all parts"),
        Call("get_statistics", {"unit": "request", "parts": ["summary"]}, "requests, summary"),
        Call("get_statistics", {"unit": "hour", "parts": ["series"]}, "hours, series"),
        Call("get_statistics", {"parts": ["correlations"]}, "sessions, correlations"),
        Call(
            "get_statistics",
            {"unit": "tool_call", "filters": {"tool": "Bash"}, "parts": ["outliers"]},
            "calls of a tool, outliers",
        ),
        Call("list_questions", {}, "all"),
        Call("list_questions", {"name": "tools"}, "one"),
        *(
            Call("ask_question", {"name": name, "parameters": parameters}, name)
            for name, parameters in (
                ("summary", {}),
                ("cost", {}),
                ("cost_by", {}),
                ("tools", {}),
                ("tool_errors", {}),
                ("errors", {}),
                ("error_samples", {"category": queries.GIVEN["category"]}),
                ("latency", {}),
                ("sessions", {}),
                ("session", {"session": session}),
                ("users", {}),
                ("cost_month", {}),
            )
        ),
        Call("describe_data", {}, "all tables"),
        Call("describe_data", {"table": "telemetry_events"}, "one table"),
        Call(
            "run_sql",
            {"sql": "SELECT count() FROM telemetry_events WHERE timestamp > now() - 86400"},
            "a count",
        ),
        Call(
            "run_sql",
            {
                "sql": "SELECT model, sum(cost_nanos) / 1e9 AS cost_usd FROM telemetry_hourly"
                " WHERE hour > now() - toIntervalDay(7) GROUP BY model ORDER BY cost_usd DESC"
            },
            "a sum by model",
        ),
        Call("tail_telemetry", {"wait_seconds": 0}, "the first call"),
        Call("tail_telemetry", {"wait_seconds": 0, "types": ["error_detected"]}, "the first call, errors"),
    ]


def _queries(session: str, day: dict[str, str]) -> list[Call]:
    by_tool = {"group_by": ["tool"], "metrics": ["count", "p50", "p95"]}
    by_model = {"group_by": ["model"], "metrics": ["sum"], "of": ["cost_usd", "tokens_total"]}
    by_day = {"group_by": ["day"], "metrics": ["sum"], "of": ["cost_usd"]}
    asked: Sequence[tuple[dict[str, Any], str]] = (
        ({"query_type": "aggregated"}, "aggregated by default"),
        ({"query_type": "aggregated", "aggregation": by_model}, "aggregated, cost by model"),
        (
            {"query_type": "aggregated", "aggregation": by_day, "filters": {"start_date": "30d"}},
            "aggregated, cost by day of 30",
        ),
        ({"query_type": "aggregated", "aggregation": by_tool}, "aggregated, percentiles by tool"),
        ({"query_type": "calls", "limit": 20}, "calls, the newest"),
        (
            {"query_type": "calls", "filters": {"tool": "Bash", **day}, "order": "-duration_ms", "limit": 20},
            "calls, the slowest of a tool",
        ),
        ({"query_type": "calls", "filters": {"session": session}, "limit": 20}, "calls of a session"),
        ({"query_type": "calls", "aggregation": by_tool}, "calls, percentiles by tool"),
        ({"query_type": "benchmarks", "order": "-cost_usd", "limit": 20}, "benchmarks, the dearest"),
        ({"query_type": "benchmarks", "filters": {"team": "team 3", **day}, "limit": 20}, "benchmarks of a team"),
        ({"query_type": "metrics", "limit": 20}, "metrics, the newest"),
        (
            {"query_type": "metrics", "aggregation": {"group_by": ["metric"], "metrics": ["sum"]}},
            "metrics, sums by name",
        ),
    )  # fmt: skip
    return [Call("query_telemetry", arguments, words) for arguments, words in asked]


@dataclass(slots=True)
class Result:
    """What a call took in each round, in milliseconds, and the last answer's length; `bare` is of its statement."""

    call: Call
    ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    bare_ms: list[float] = field(default_factory=list)
    characters: int = 0
    rows: int = 0

    @property
    def tokens(self) -> int:
        """Return about how many tokens the answer has."""
        return self.characters // CHARACTERS_A_TOKEN

    def row(self) -> str:
        """Return the table's row."""
        bare = (
            f"{median(self.bare_ms):.0f} | {median(self.ms) / median(self.bare_ms):.1f}"
            if self.bare_ms
            else " | "
        )
        return (
            f"| {self.call} | {median(self.ms):.0f} | {median(self.cpu_ms):.0f} | {self.rows} | {self.tokens:,} |"
            f" {bare} |"
        )


def main() -> int:
    """Make the data unless they are there, and print a row for each call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="keep the data here, or use those that are here")
    parser.add_argument("--only", help="only calls whose words have this")
    options = parser.parse_args()
    print(machine())
    print(f"\nCommand: `{' '.join(['python -m benchmarks.tools', *sys.argv[1:]])}`")
    directory = options.directory or Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        fill(directory, options.events, options.days)
        with tempfile.TemporaryDirectory(prefix="benchmark-") as output:
            store = servers.ours(Path(output), None, directory, TELEMETRY_RETENTION_DAYS=str(RETENTION_DAYS))
            with store as server:
                results = asyncio.run(measure(server, directory, options.rounds, options.only))
    finally:
        if options.directory is None:
            shutil.rmtree(directory)
    print(report(results))
    return 0


def fill(directory: Path, events: int, days: int) -> None:
    """Make the data of `benchmarks.queries`, as far as they are not there."""
    engine = Engine(directory / "clickhouse")
    engine.use("telemetry")
    migrate(engine, RETENTION_DAYS)
    load_prices(engine, read_prices())
    for kind, count in {"logs": events, "spans": events, "metrics": events // 20}.items():
        queries.make(engine, kind, count, days)
    engine.close()


@dataclass(frozen=True, slots=True)
class Interface:
    """The ClickHouse interface of a running server, as the user who only reads."""

    url: str
    password: str

    async def ask(self, http: httpx.AsyncClient, sql: str, values: dict[str, str]) -> bytes:
        """Return a statement's answer in the format in which the tools read it."""
        answer = await http.post(
            self.url,
            content=sql,
            params={f"param_{name}": value for name, value in values.items()},
            headers={"X-ClickHouse-Format": "JSONCompactEachRowWithNamesAndTypes"},
            auth=("telemetry_reader", self.password),
        )
        if answer.status_code != httpx.codes.OK:
            raise SystemExit(f"The statement alone was refused: {answer.text}\n{sql}")
        return answer.content


def interface(server: servers.Server, data: Path) -> Interface:
    """Return the interface of a server with this data directory."""
    lines = (data / "credentials.env").read_text().splitlines()
    password = dict(line.split("=", 1) for line in lines)["TELEMETRY_READER_PASSWORD"]
    return Interface(f"http://{servers.listening(server)['clickhouse_http']}/", password)


def stdio(server: servers.Server, data: Path, **settings: str) -> StdioServerParameters:
    """Return how to start `telemetry mcp` beside a server."""
    port = servers.listening(server)["clickhouse_http"].rpartition(":")[2]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "telemetry", "mcp"],
        cwd=servers.ROOT,
        env={**kept, "TELEMETRY_DATA_DIR": str(data), "TELEMETRY_CLICKHOUSE_HTTP_PORT": port, **settings},
    )


async def measure(server: servers.Server, data: Path, rounds: int, only: str | None) -> list[Result]:
    """Make the calls, once to warm up and then round by round."""
    at = interface(server, data)
    async with (
        httpx.AsyncClient(timeout=120, trust_env=False) as http,
        client(stdio(server, data, **UNCACHED)) as (mcp, pid),
    ):
        found = await at.ask(
            http, "SELECT any(session_id) FROM telemetry_sessions WHERE day = today() - 3", {}
        )
        session = found.splitlines()[2].decode().strip('[]"')
        results = [Result(call) for call in calls(session) if only is None or only in str(call)]
        for number in range(rounds + 1):
            for result in results:
                before, begun = _cpu_ms(server.process.pid, pid), time.monotonic()
                answer = await mcp.call_tool(result.call.tool, result.call.arguments)
                ms, cpu = 1000 * (time.monotonic() - begun), _cpu_ms(server.process.pid, pid) - before
                fields = answer.structured_content
                if answer.is_error or fields is None:
                    raise SystemExit(f"{result.call} was refused: {answer.content}")
                if number:
                    result.ms.append(ms)
                    result.cpu_ms.append(cpu)
                result.characters = sum(len(getattr(part, "text", "")) for part in answer.content)
                result.rows = len(fields["rows"])
                sql = fields.get("query_executed", "")
                if sql and not sql.endswith(CUT) and result.call.tool != "list_questions":
                    begun = time.monotonic()
                    await at.ask(
                        http, sql, {name: str(value) for name, value in fields.get("parameters", {}).items()}
                    )
                    if number:
                        result.bare_ms.append(1000 * (time.monotonic() - begun))
    return results


@asynccontextmanager
async def client(command: StdioServerParameters) -> AsyncIterator[tuple[Client, int]]:
    """Yield a client of a server that is started, and the server's process id."""
    before = _children()
    async with Client(command) as mcp:
        (pid,) = _children() - before
        yield mcp, pid


def _children() -> set[int]:
    """Return the ids of this process's children."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def _cpu_ms(*pids: int) -> float:
    return 1000 * sum(cpu_seconds(pid) for pid in pids)


def report(results: Sequence[Result]) -> str:
    """Return the table, and the lines about the targets."""
    share = sum(median(result.ms) < TARGET_MS for result in results) / len(results)
    tokens = median(result.tokens for result in results)
    ratios = [median(result.ms) / median(result.bare_ms) for result in results if result.bare_ms]
    is_fast = verdict(share >= TARGET_SHARE, f"at least {TARGET_SHARE:.0%}")
    is_short = verdict(tokens < TARGET_TOKENS, f"under {TARGET_TOKENS:,}")
    ms, cpu_ms = (median(median(getattr(one, name)) for one in results) for name in ("ms", "cpu_ms"))
    most = max(result.tokens for result in results)
    head = "| call | ms | CPU ms | rows | tokens | its statement alone, ms | ratio |"
    return "\n".join(
        [
            f"\n{head}\n|---|---|---|---|---|---|---|",
            *(result.row() for result in results),
            f"\nUnder {TARGET_MS} ms: {share:.0%} of {len(results)} calls; {is_fast}.",
            f"Median {ms:.0f} ms, {cpu_ms:.0f} ms of CPU.",
            f"\nTokens of an answer: {tokens:,.0f} in the median, {most:,} at most; {is_short}.",
            f"\nA call takes {median(ratios):.2f} times as long as its statement alone, in the median.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
