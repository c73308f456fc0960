"""Asks fifteen questions of `telemetry mcp` and of mcp-clickhouse: `python -m benchmarks.peers_mcp --peer PATH`.

Both are started over standard input and output beside one `telemetry serve`, on the data of `benchmarks.queries`, and
ask its ClickHouse interface as the user who only reads. Here each question has the tool call that answers it; of
mcp-clickhouse the statement that someone writes who knows ClickHouse and has read the columns, in one `run_query`. That
is its best case: no statement is wrong and none is tried in vain. What must be read before the first question is
counted apart: the tools of both, and of the peer the answer of `list_tables`, from which the columns are known.

The right number is worked out by a statement of its own, and an answer without it is counted as wrong. mcp-clickhouse
needs other versions, so it is installed elsewhere: `python -m venv V && V/bin/pip install mcp-clickhouse`.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from benchmarks import servers
from benchmarks.ingest import machine
from benchmarks.tools import RETENTION_DAYS, UNCACHED, Interface, fill, interface, stdio

TOLERANCE: Final = 1e-4
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: the call that answers it, and the statement that does, whose `truth` is one number."""

    words: str
    tool: str
    arguments: dict[str, Any]
    sql: str
    truth: str


@dataclass(slots=True)
class Side:
    """What one of the two took for a question: characters of the answer, and milliseconds by round."""

    characters: int = 0
    is_right: bool = False
    ms: list[float] = field(default_factory=list)

    def cells(self) -> str:
        """Return its cells of the table's row."""
        return f"{self.characters:,} | {median(self.ms):.0f} | {'yes' if self.is_right else 'no'}"


def questions(start: str, end: str, day: str) -> list[Asked]:
    """Return the questions about the week from `start` to `end`, two dates, and the day that begins at `day`."""
    week = {"start_date": start, "end_date": f"{end}T00:00:00Z"}
    last = {"start_date": day, "end_date": f"{end}T00:00:00Z"}
    of_week = f"timestamp >= '{start}' AND timestamp < '{end}'"
    of_day = f"timestamp >= '{day}' AND timestamp < '{end}'"
    calls = f"FROM telemetry_events WHERE event_type = 'tool_result' AND {of_week}"
    requests = f"FROM telemetry_events WHERE event_type = 'api_request' AND {of_week}"
    cost = "sum(cost_nanos) / 1e9"

    def summed(by: str, of: str, **more: Any) -> dict[str, Any]:
        grouped = {"group_by": [by], "metrics": ["sum"], "of": [of]}
        return {"query_type": "aggregated", "filters": week, "aggregation": grouped, **more}

    def counted(by: list[str], metrics: list[str], query: str = "calls", **filters: str) -> dict[str, Any]:
        grouped = {"group_by": by, "metrics": metrics}
        return {"query_type": query, "filters": {**week, **filters}, "aggregation": grouped}

    def first(sql: str) -> str:
        return f"SELECT first FROM ({sql}) LIMIT 1"

    query = "query_telemetry"
    sessions = f"SELECT session_id, {cost} AS cost {requests} GROUP BY session_id"
    return [
        Asked(
            "cost by model", query, summed("model", "cost_usd"),
            f"SELECT model, {cost} AS cost {requests} GROUP BY model ORDER BY cost DESC",
            first(f"SELECT {cost} AS first {requests} GROUP BY model ORDER BY first DESC"),
        ),
        Asked(
            "cost by day", query, summed("day", "cost_usd"),
            f"SELECT toDate(timestamp) AS day, {cost} AS cost {requests} GROUP BY day ORDER BY day",
            first(f"SELECT {cost} AS first {requests} GROUP BY toDate(timestamp) ORDER BY first DESC"),
        ),
        Asked(
            "cost by team", query, summed("team", "cost_usd"),
            f"SELECT team, {cost} AS cost {requests} GROUP BY team ORDER BY cost DESC",
            first(f"SELECT {cost} AS first {requests} GROUP BY team ORDER BY first DESC"),
        ),
        Asked(
            "the dearest user", query, summed("user", "cost_usd", order="-sum_cost_usd", limit=1),
            f"SELECT user_id, {cost} AS cost {requests} GROUP BY user_id ORDER BY cost DESC LIMIT 1",
            first(f"SELECT {cost} AS first {requests} GROUP BY user_id ORDER BY first DESC"),
        ),
        Asked(
            "tokens written by model", query, summed("model", "tokens_out"),
            f"SELECT model, sum(output_tokens) AS tokens {requests} GROUP BY model ORDER BY tokens DESC",
            first(f"SELECT sum(output_tokens) AS first {requests} GROUP BY model ORDER BY first DESC"),
        ),
        Asked(
            "calls by tool", query, counted(["tool"], ["avg"]),
            f"SELECT tool_name, count() AS calls, avg(duration_ms) {calls} GROUP BY tool_name ORDER BY calls DESC",
            first(f"SELECT count() AS first {calls} GROUP BY tool_name ORDER BY first DESC"),
        ),
        Asked(
            "p95 of each tool", query, counted(["tool"], ["p95"]),
            f"SELECT tool_name, quantileExact(0.95)(duration_ms) AS p95 {calls} GROUP BY tool_name ORDER BY p95 DESC",
            f"SELECT quantileExact(0.95)(duration_ms) {calls} AND tool_name = 'Bash'",
        ),
        Asked(
            "p99 of each model", query, counted(["model"], ["p99"], "aggregated"),
            f"SELECT model, quantileExact(0.99)(duration_ms) AS p99 {requests} GROUP BY model ORDER BY p99 DESC",
            first(f"SELECT quantileExact(0.99)(duration_ms) AS first {requests} GROUP BY model ORDER BY first DESC"),
        ),
        Asked(
            "how Bash failed", query, counted(["error"], ["avg"], tool="Bash"),
            f"SELECT failure, count() AS calls {calls} AND tool_name = 'Bash' GROUP BY failure ORDER BY calls DESC",
            first(
                f"SELECT count() AS first {calls} AND tool_name = 'Bash' AND failure != '' GROUP BY failure"
                " ORDER BY first DESC"
            ),
        ),
        Asked(
            "failures by day", query, counted(["day"], ["avg"]),
            f"SELECT toDate(timestamp) AS day, countIf(failure != '') AS failures {calls} GROUP BY day ORDER BY day",
            first(f"SELECT countIf(failure != '') AS first {calls} GROUP BY toDate(timestamp) ORDER BY first DESC"),
        ),
        Asked(
            "the slowest calls of a day", query,
            {"query_type": "calls", "filters": last, "order": "-duration_ms", "limit": 5},
            "SELECT timestamp, session_id, tool_name, duration_ms, success FROM telemetry_events"
            f" WHERE event_type = 'tool_result' AND {of_day} ORDER BY duration_ms DESC LIMIT 5",
            f"SELECT max(duration_ms) FROM telemetry_events WHERE event_type = 'tool_result' AND {of_day}",
        ),
        Asked(
            "the median session's cost", "get_statistics",
            {"unit": "session", "measures": ["cost_usd"], "parts": ["summary"], "filters": week},
            f"SELECT quantileExactInclusive(0.5)(cost), avg(cost), max(cost) FROM ({sessions})",
            f"SELECT quantileExactInclusive(0.5)(cost) FROM ({sessions})",
        ),
        Asked(
            "sessions that cost far more than usual", "get_statistics",
            {"unit": "session", "measures": ["cost_usd"], "parts": ["outliers"], "filters": week},
            f"WITH costs AS ({sessions}), (SELECT quantilesExactInclusive(0.25, 0.75)(cost) FROM costs) AS q"
            " SELECT countIf(cost > q[2] + 1.5 * (q[2] - q[1]) OR cost < q[1] - 1.5 * (q[2] - q[1])), max(cost)"
            " FROM costs",
            f"SELECT max(cost) FROM ({sessions})",
        ),
        Asked(
            "which tools became slower", "analyze_patterns",
            {"analysis_type": "performance_trends", "time_window": "7d"},
            "SELECT tool_name, timestamp >= now() - toIntervalDay(7) AS is_now, count() AS calls,"
            " quantileExact(0.5)(duration_ms) AS median FROM telemetry_events WHERE event_type = 'tool_result'"
            " AND timestamp >= now() - toIntervalDay(14) AND timestamp < now() GROUP BY tool_name, is_now"
            " ORDER BY tool_name, is_now",
            "SELECT count() FROM telemetry_events WHERE event_type = 'tool_result' AND tool_name = 'Bash'"
            " AND duration_ms IS NOT NULL AND timestamp >= now() - toIntervalDay(7) AND timestamp < now()",
        ),
        Asked(
            "calls that people refused", "ask_question",
            {"name": "decisions", "parameters": {"from": start, "to": f"{end}T00:00:00Z"}},
            "SELECT tool_name, decision, decision_source, count() AS decisions FROM telemetry_events"
            f" WHERE event_type = 'tool_decision' AND {of_week} GROUP BY ALL ORDER BY decisions DESC",
            "SELECT countIf(decision = 'reject' AND startsWith(decision_source, 'user_')) FROM telemetry_events"
            f" WHERE event_type = 'tool_decision' AND {of_week} AND tool_name = 'Bash'",
        ),
    ]  # fmt: skip


def main() -> int:
    """Ask both, and print a row for each question."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, help="the program mcp-clickhouse")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, required=True, help="the data of benchmarks.tools")
    options = parser.parse_args()
    print(machine())
    print(f"\nCommand: `python -m benchmarks.peers_mcp --rounds {options.rounds}`")
    fill(options.directory, options.events, 30)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as output:
        more = {"TELEMETRY_RETENTION_DAYS": str(RETENTION_DAYS)}
        with servers.ours(Path(output), None, options.directory, **more) as server:
            asyncio.run(compare(server, options.directory, options.peer, options.rounds))
    return 0


async def compare(server: servers.Server, data: Path, peer: Path, rounds: int) -> None:
    """Print what both need before the first question, and then for each."""
    at = interface(server, data)
    # The last whole day before the one that the data end with.
    end = datetime.now(UTC).date() - timedelta(days=1)
    asked = questions(*(str(end - timedelta(days=days)) for days in (7, 0, 1)))
    # The peer logs each statement to standard error.
    with open(os.devnull, "w") as log:  # noqa: ASYNC230, PTH123  nothing is written
        async with (
            httpx.AsyncClient(timeout=120, trust_env=False) as http,
            Client(stdio(server, data, **UNCACHED)) as ours,
            Client(stdio_client(peer_of(peer, at), errlog=log)) as theirs,
        ):
            await read_first(ours, theirs)
            print("\n| question | ours: characters | ms | right | mcp-clickhouse: characters | ms | right |")
            print("|---|---|---|---|---|---|---|")
            sides = []
            for one in asked:
                pair = Side(), Side()
                for number in range(rounds + 1):
                    found = await at.ask(http, one.truth, {})
                    truth = float(found.splitlines()[2].decode().strip('[]"'))
                    await ask(ours, one.tool, one.arguments, pair[0], truth, counts=bool(number))
                    await ask(theirs, "run_query", {"query": one.sql}, pair[1], truth, counts=bool(number))
                sides.append(pair)
                print(f"| {one.words} | {pair[0].cells()} | {pair[1].cells()} |", flush=True)
    for name, place in (("ours", 0), ("mcp-clickhouse", 1)):
        print(summed_up(name, [pair[place] for pair in sides]))


def summed_up(name: str, sides: list[Side]) -> str:
    """Return one side's figures over all questions."""
    characters, ms = (
        median(values) for values in ([one.characters for one in sides], [median(one.ms) for one in sides])
    )
    return (
        f"\n{name}: {sum(one.is_right for one in sides)} of {len(sides)} right, one call each; {characters:,.0f}"
        f" characters and {ms:.0f} ms in the median, {sum(one.characters for one in sides):,} characters in all."
    )


async def read_first(ours: Client, theirs: Client) -> None:
    """Print the characters that a model reads before it can ask."""
    print("\n| before the first question | characters |\n|---|---|")
    for name, client in (("our tools", ours), ("tools of mcp-clickhouse", theirs)):
        tools = await client.list_tools()
        print(
            f"| {name}, {len(tools.tools)} | {sum(len(tool.model_dump_json()) for tool in tools.tools):,} |"
        )
    tables, pages, token = 0, 0, None
    while pages == 0 or token:
        more = {"page_token": token} if token else {}
        listed = await theirs.call_tool("list_tables", {"database": "telemetry", **more})
        text = "".join(getattr(part, "text", "") for part in listed.content)
        if listed.is_error:
            raise SystemExit(f"list_tables failed: {text}")
        tables, pages, token = tables + len(text), pages + 1, json.loads(text).get("next_page_token")
    print(f"| list_tables of mcp-clickhouse, {pages} call{'s' if pages > 1 else ''} | {tables:,} |")


async def ask(
    client: Client, tool: str, arguments: dict[str, Any], side: Side, truth: float, *, counts: bool
) -> None:
    """Make a call; the first one of each question warms up and does not count."""
    begun = time.monotonic()
    answer = await client.call_tool(tool, arguments)
    ms = 1000 * (time.monotonic() - begun)
    text = "".join(getattr(part, "text", "") for part in answer.content)
    if answer.is_error:
        raise SystemExit(f"{tool} {arguments} failed: {text}")
    if counts:
        side.ms.append(ms)
    side.characters = len(text)
    numbers = [float(number) for number in _NUMBER.findall(text)]
    side.is_right = any(abs(number - truth) <= TOLERANCE * max(1.0, abs(truth)) for number in numbers)


def peer_of(program: Path, at: Interface) -> StdioServerParameters:
    """Return how to start mcp-clickhouse as the user who only reads."""
    host, port = at.url.removeprefix("http://").rstrip("/").split(":")
    return StdioServerParameters(
        command=str(program),
        env={
            "CLICKHOUSE_HOST": host,
            "CLICKHOUSE_PORT": port,
            "CLICKHOUSE_USER": "telemetry_reader",
            "CLICKHOUSE_PASSWORD": at.password,
            "CLICKHOUSE_SECURE": "false",
            "CLICKHOUSE_DATABASE": "telemetry",
            "CLICKHOUSE_MCP_SERVER_TRANSPORT": "stdio",
        },
    )


if __name__ == "__main__":
    sys.exit(main())
