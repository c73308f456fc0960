r"""Time the tools over real systems, and compare the length of answers with `prometheus-mcp-server`.

    python -m benchmarks.connected prometheus=/usr/bin/prometheus jaeger=/usr/bin/jaeger \\
        [--peer /path/to/venv/bin/prometheus-mcp-server]

Each program is run and filled as the contract's tests do it. `telemetry mcp` is started over them as Claude Code starts
it, without a cache; every question is asked in turn, and the table has the median and the 95th percentile of an answer,
and its characters. With --peer, the same questions about Prometheus are asked of that server over standard input too,
with the calls that a model needs for them, and the ratio of the characters is printed.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.connectors.subject import START, found

_RANGE = {"start": START.isoformat(), "end": START.replace(hour=13).isoformat()}
_QUESTIONS: Mapping[str, list[tuple[str, dict[str, Any]]]] = {
    "metrics": [
        ("query_metrics", {"query": "http_requests_total"}),
        ("query_metrics", {"query": 'rate(http_requests_total{code="500"}[5m])'}),
        ("query_metrics", {"query": "sum by (service) (rate(http_requests_total[5m]))"}),
        ("query_metrics", {"query": "process_resident_memory_bytes", "detail": "points"}),
        ("get_service_metrics", {"service": "shop"}),
        ("detect_anomalies", {"metric_query": "queue_length"}),
        ("discover", {"what": "metrics"}),
        ("discover", {"what": "labels", "metric": "http_requests_total"}),
    ],
    "logs": [
        ("search_logs", {"query": "payment declined"}),
        ("search_logs", {"query": "payment declined", "context_lines": 2, "limit": 5}),
        ("search_logs", {"query": "", "filters": {"severity": "error"}}),
    ],
    "traces": [
        ("get_traces", {"filters": {"service": "shop"}}),
        ("get_traces", {"filters": {"service": "shop", "has_error": True}}),
        ("list_services", {}),
    ],
}
_STEP = "60s"
_PEER: list[tuple[str, dict[str, Any]] | None] = [
    ("execute_range_query", {"query": "http_requests_total", "step": _STEP}),
    ("execute_range_query", {"query": 'rate(http_requests_total{code="500"}[5m])', "step": _STEP}),
    ("execute_range_query", {"query": "sum by (service) (rate(http_requests_total[5m]))", "step": _STEP}),
    ("execute_range_query", {"query": "process_resident_memory_bytes", "step": _STEP}),
    None,  # it has no such tool
    None,
    ("list_metrics", {}),
    None,
]
"""The peer's calls for the questions about metrics, in the same order."""


@dataclass(slots=True)
class Measured:
    """Answers to one question."""

    seconds: list[float] = field(default_factory=list)
    characters: int = 0
    is_error: bool = False


def main() -> int:
    """Run it and print the tables; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("programs", nargs="+", metavar="NAME=PATH", help="a system of the contract's tests")
    parser.add_argument("--peer", help="prometheus-mcp-server, in an environment of its own")
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    subjects = {one.name: one for one in found()}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        urls = {}
        for name, path in (text.split("=", 1) for text in given.programs):
            place = Path(folder) / name
            place.mkdir()
            started = subjects[name].started
            if started is None:
                parser.error(f"{name} has no program that can be run")
            urls[name] = stack.enter_context(started(Path(path), place))
        for name, url in urls.items():
            signals = [one for one in _QUESTIONS if getattr(subjects[name], one) is not None]
            questions = [question for signal in signals for question in _QUESTIONS[signal]]
            measured = asyncio.run(_ours(Path(folder), name, url, questions, given.rounds))
            _print(name, questions, measured)
            if name == "prometheus" and given.peer:
                theirs = asyncio.run(_theirs(given.peer, url, given.rounds))
                _compare(questions, measured, theirs)
    return 0


async def _ours(
    folder: Path, name: str, url: str, questions: list[tuple[str, dict[str, Any]]], rounds: int
) -> list[Measured]:
    file = folder / f"{name}.json"
    file.write_text(
        json.dumps({"connections": [{"name": "it", "backend_type": name, "config": {"url": url}}]})
    )
    environment = {
        **os.environ,
        "TELEMETRY_DATA_DIR": str(folder / f"data-{name}"),
        "TELEMETRY_CONNECTIONS_FILE": str(file),
        "TELEMETRY_QUERY_CACHE_SECONDS": "0",
        "TELEMETRY_CONNECTOR_QUERIES_PER_MINUTE": "1000000",
        "TELEMETRY_CONNECTOR_QUERIES_AT_ONCE": "100000",
        "TELEMETRY_QUERIES_PER_MINUTE": "1000000",
        "TELEMETRY_QUERIES_AT_ONCE": "100000",
    }
    command = StdioServerParameters(command=sys.executable, args=["-m", "telemetry", "mcp"], env=environment)
    calls = [
        (
            tool,
            {**arguments, "time_range": _RANGE, **({} if tool == "list_services" else {"connection": "it"})},
        )
        for tool, arguments in questions
    ]
    return await _asked(command, calls, rounds)


async def _theirs(program: str, url: str, rounds: int) -> list[Measured]:
    command = StdioServerParameters(
        command=program, args=[], env={**os.environ, "PROMETHEUS_URL": url, "LOG_LEVEL": "ERROR"}
    )
    calls = [
        (tool, {**arguments, **(_RANGE if tool == "execute_range_query" else {})})
        for tool, arguments in filter(None, _PEER)
    ]
    return await _asked(command, calls, rounds)


async def _asked(
    command: StdioServerParameters, calls: list[tuple[str, dict[str, Any]]], rounds: int
) -> list[Measured]:
    measured = [Measured() for _ in calls]
    with Path(os.devnull).open("w") as nothing:  # noqa: ASYNC230  opened once
        async with Client(stdio_client(command, errlog=nothing)) as client:
            for _ in range(rounds):
                for (tool, arguments), one in zip(calls, measured, strict=True):
                    begin = time.perf_counter()
                    answer = await client.call_tool(tool, arguments)
                    one.seconds.append(time.perf_counter() - begin)
                    one.is_error = one.is_error or bool(answer.is_error)
                    # What a model sees: the structured content where there is some.
                    shown = answer.structured_content or [part.model_dump() for part in answer.content]
                    one.characters = len(json.dumps(shown, separators=(",", ":"), ensure_ascii=False))
    return measured


def _print(name: str, questions: list[tuple[str, dict[str, Any]]], measured: list[Measured]) -> None:
    print(f"\n{name}\n| call | median ms | p95 ms | characters |\n|---|---|---|---|")
    for (tool, arguments), one in zip(questions, measured, strict=True):
        words = ", ".join(f"{key}={value}" for key, value in arguments.items())
        failed = " (refused)" if one.is_error else ""
        print(
            f"| {tool}({words[:70]}){failed} | {1000 * statistics.median(one.seconds):.0f} |"
            f" {1000 * _p95(one.seconds):.0f} | {one.characters:,} |"
        )
    every = [second for one in measured for second in one.seconds]
    print(f"| all | {1000 * statistics.median(every):.0f} | {1000 * _p95(every):.0f} | |")


def _compare(
    questions: list[tuple[str, dict[str, Any]]], ours: list[Measured], theirs: list[Measured]
) -> None:
    print(
        "\n| question | ours, characters | prometheus-mcp-server | ratio | time, ratio |\n|---|---|---|---|---|"
    )
    pairs = [(question, one) for question, one, call in zip(questions, ours, _PEER, strict=True) if call]
    for ((tool, arguments), mine), other in zip(pairs, theirs, strict=True):
        print(
            f"| {tool} {arguments.get('query', arguments.get('what', ''))} | {mine.characters:,} |"
            f" {other.characters:,} | {other.characters / mine.characters:.1f} |"
            f" {statistics.median(mine.seconds) / statistics.median(other.seconds):.2f} |"
        )


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


if __name__ == "__main__":
    sys.exit(main())
