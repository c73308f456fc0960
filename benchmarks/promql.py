"""What PromQL over the own store costs at size, beside a real Prometheus on the same samples.

    python -m benchmarks.promql --program /usr/bin/prometheus [--series 250] [--points 4000]

Series of a counter, a point each fifteen seconds, are put into `otel_metrics_sum` of an engine in this process, and
into blocks of Prometheus (promtool beside the program makes them; without --program it is left out). The same range
queries over the whole period are asked of both in turn. Printed are medians of CPU seconds, of this process with the
rows as Python has them and of Prometheus with its JSON, the ratio, and the points that a query reads and returns.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.embedded import embedded
from benchmarks.ingest import machine
from benchmarks.servers import free_port, running
from clickhouse.engine import Engine
from connectors.promql.evaluation import Evaluation
from tests.engine_store import EngineStore

EVERY = 15
STEP = 300
QUERIES = (
    "requests_total",
    'requests_total{service="s3"}',
    'rate(requests_total{service="s3"}[5m])',
    "sum by (service) (rate(requests_total[5m]))",
    "sum by (service) (rate(requests_total[1h]))",
    "max_over_time(requests_total[30m])",
    "topk(5, sum by (route) (increase(requests_total[15m])))",
)
SERVICES = 10
_FILL = """INSERT INTO otel_metrics_sum
    (ResourceAttributes, ServiceName, MetricName, MetricUnit, Attributes, StartTimeUnix, TimeUnix, Value,
     AggregationTemporality, IsMonotonic)
WITH concat('s', toString(s % {services:UInt32})) AS service
SELECT map('service.name', service), service, 'requests', '',
    map('service', service, 'route', concat('/r', toString(s))), fromUnixTimestamp64Milli({start:Int64} * 1000),
    fromUnixTimestamp64Milli(({start:Int64} + {every:Int64} * m) * 1000), m * (100 + s), 2, true
FROM (SELECT intDiv(number, {points:UInt64}) AS s, number % {points:UInt64} AS m
      FROM numbers({points:UInt64} * {series:UInt64}))"""


def main() -> int:
    """Measure and print; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--program", type=Path, help="Prometheus, with promtool beside it")
    parser.add_argument("--series", type=int, default=250)
    parser.add_argument("--points", type=int, default=4000, help="of each series")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start = int((end - timedelta(seconds=EVERY * given.points)).timestamp())
    print(machine())
    print(
        f"\n{given.series:,} series of {given.points:,} points; a step of {STEP} seconds; load"
        f" {os.getloadavg()[0]:.0f}\n"
    )
    with embedded() as (engine, _), tempfile.TemporaryDirectory() as folder:
        _fill(engine, given.series, given.points, start)
        evaluation = Evaluation(EngineStore(engine))
        if given.program is None:
            _compare(evaluation, None, 0, start, given.points, given.rounds)
            return 0
        with _prometheus(given.program, Path(folder), given.series, given.points, start) as (url, process):
            _compare(evaluation, url, process, start, given.points, given.rounds)
    return 0


def _compare(
    evaluation: Evaluation, url: str | None, process: int, start: int, points: int, rounds: int
) -> None:
    end = start + EVERY * points
    print("| query | series | points of the answer | ours, CPU ms | Prometheus, CPU ms | ratio |")
    print("|---|---|---|---|---|---|")
    for query in QUERIES:
        ours: list[float] = []
        theirs: list[float] = []
        sizes = (0, 0), (0, 0)
        each = 1
        for place in range(rounds + 1):
            spent, mine = _spent(_own_cpu, lambda q=query: _ours(evaluation, q, start, end), 1)
            ours.append(spent)
            if url is None:
                sizes = mine, mine
                continue
            spent, other = _spent(lambda: _cpu_of(process), lambda q=query: _theirs(url, q, start, end), each)
            theirs.append(spent)
            sizes = mine, other
            if mine != other:
                raise SystemExit(f"{query}: {mine} series and points of ours, {other} of Prometheus")
            if place == 0:
                # The first of each is not counted. Linux counts in hundredths of a second.
                ours.clear()
                theirs.clear()
                each = max(1, round(0.3 / max(spent, 0.01)))
        cpu = statistics.median(ours) * 1e3
        beside = (
            f"{statistics.median(theirs) * 1e3:.0f} | {cpu / 1e3 / statistics.median(theirs):.1f}"
            if theirs
            else "| "
        )
        print(f"| `{query}` | {sizes[0][0]:,} | {sizes[0][1]:,} | {cpu:.0f} | {beside} |", flush=True)


def _spent(
    cpu: Callable[[], float], call: Callable[[], tuple[int, int]], number: int
) -> tuple[float, tuple[int, int]]:
    """Return the CPU seconds of one of so many calls, and the answer's size."""
    before = cpu()
    for _ in range(number):
        found = call()
    return (cpu() - before) / number, found


def _ours(evaluation: Evaluation, query: str, start: int, end: int) -> tuple[int, int]:
    found = evaluation.over(query, start * 1000, end * 1000, STEP * 1000, 100_000)
    return len(found.series), sum(len(one.points) for one in found.series)


def _theirs(url: str, query: str, start: int, end: int) -> tuple[int, int]:
    params = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": STEP})
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{params}", timeout=120) as answer:  # noqa: S310  on this machine
        result = json.load(answer)["data"]["result"]
    return len(result), sum(len(one["values"]) for one in result)


def _fill(engine: Engine, series: int, points: int, start: int) -> None:
    values = {"services": SERVICES, "start": start, "every": EVERY, "points": points, "series": series}
    engine.command(_FILL, {name: str(value) for name, value in values.items()})
    engine.command("OPTIMIZE TABLE otel_metrics_sum FINAL")


@contextmanager
def _prometheus(
    program: Path, folder: Path, series: int, points: int, start: int
) -> Iterator[tuple[str, int]]:
    """Run Prometheus over blocks of the same samples; yield its address and its process."""
    with (folder / "samples.txt").open("w") as file:
        file.write("# TYPE requests counter\n")
        for one in range(series):
            service = f"s{one % SERVICES}"
            labels = f'job="{service}",service="{service}",service_name="{service}",route="/r{one}"'
            file.writelines(
                f"requests_total{{{labels}}} {place * (100 + one)} {start + EVERY * place}\n"
                for place in range(points)
            )
        file.write("# EOF\n")
    tool = program.with_name("promtool")
    subprocess.run(
        [tool, "tsdb", "create-blocks-from", "--quiet", "openmetrics", "samples.txt", "data"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (folder / "prometheus.yml").write_text("{}\n")
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        str(program), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}", "--storage.tsdb.retention.time=100y",
        "--query.max-samples=500000000", "--log.level=error",
    ]  # fmt: skip

    def ready() -> str | None:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):  # noqa: S310  on this machine
                return url
        except OSError:
            return None

    with running("prometheus", command, folder / "run", ready) as server:
        yield url, server.process.pid


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_of(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
