"""Compare an adapter with the bare HTTP call that it makes, on a real Prometheus.

    python -m benchmarks.connectors --program /usr/bin/prometheus

The same question is asked in turn in three ways, over connections that are kept: the bytes alone (`httpx2`), the bytes
read as JSON (what a script would do), and the adapter (addresses guarded, query checked, bounds held, values typed).
Printed are medians of the time of an answer, and CPU of this process an answer, with the ratios.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from connectors.adapters.prometheus import PROMETHEUS, Prometheus, PrometheusConfig
from connectors.addresses import Policy
from connectors.contract import MetricsRequest
from tests.connectors.subject import WINDOW
from tests.connectors.subjects.prometheus import prometheus_started

QUESTIONS = {
    "one number": MetricsRequest("sum(queue_length)", WINDOW, 3600.0),
    "6 series, 360 points": MetricsRequest("http_requests_total", WINDOW, 60.0),
    "25 series, 90,000 points": MetricsRequest('{__name__=~".+"}', WINDOW, 1.0),
}
VARIABLE = "TELEMETRY_TEST_PROMETHEUS"


@dataclass(slots=True)
class Measured:
    """Seconds of each answer, and CPU seconds of all."""

    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0


def main() -> int:
    """Run the comparison and print it; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="turns of each way, for each question")
    parser.add_argument("--each", type=int, default=5, help="answers in a turn")
    parser.add_argument(
        "--program",
        default=os.environ.get(VARIABLE),
        help=f"Prometheus, with promtool beside it (${VARIABLE})",
    )
    given = parser.parse_args()
    program = given.program
    if not program:
        parser.error(f"name --program, or set {VARIABLE}")
    with tempfile.TemporaryDirectory() as folder, prometheus_started(Path(program), Path(folder)) as url:
        for name, request in QUESTIONS.items():
            asyncio.run(_compare(url, name, request, given.rounds, given.each))
    return 0


async def _compare(url: str, name: str, request: MetricsRequest, rounds: int, each: int) -> None:
    start, end = (int(moment.timestamp()) for moment in (request.window.start, request.window.end))
    step = int(request.step_seconds)
    params = {
        "query": request.query,
        "start": start,
        "end": end - step,
        "step": step,
        "timeout": "30s",
        "stats": "true",
    }
    adapter = Prometheus(PrometheusConfig(url=url), Policy())
    async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:

        async def bare() -> None:
            (await client.get(f"{url}/api/v1/query_range", params=params)).raise_for_status()

        async def parsed() -> None:
            json.loads((await client.get(f"{url}/api/v1/query_range", params=params)).content)

        async def adapted() -> None:
            await adapter.query_range(request)

        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "bare": bare,
            "bare and JSON": parsed,
            "adapter": adapted,
        }
        for way in ways.values():
            await way()
        measured = {way: Measured() for way in ways}
        for _ in range(rounds):
            for way, call in ways.items():
                before = time.process_time()
                for _ in range(each):
                    started = time.perf_counter()
                    await call()
                    measured[way].seconds.append(time.perf_counter() - started)
                measured[way].cpu += time.process_time() - before
    await adapter.close()
    print(f"\n{name}: {PROMETHEUS.title}, {rounds * each} answers each")
    base = measured["bare"]
    for way, one in measured.items():
        median, least = statistics.median(one.seconds), statistics.median(base.seconds)
        print(
            f"  {way:14} {median * 1e3:8.2f} ms ({median / least:.2f})"
            f" {one.cpu / len(one.seconds) * 1e3:8.2f} ms of CPU ({one.cpu / base.cpu:.2f})"
        )


if __name__ == "__main__":
    sys.exit(main())
