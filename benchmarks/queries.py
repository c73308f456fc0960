"""Measures each bundled question beside the same question on the plain tables: `python -m benchmarks.queries`.

Makes log records, spans and data points in SQL, straight into the tables of an embedded engine, with every view
attached, so that the questions' tables are filled as ingest fills them. Then runs every question over its default
period. With `--plain`, the same text again with `telemetry_events`, the roll-ups and `telemetry_spans` replaced by
views that work them out from otel_logs and otel_traces as they go, which takes an hour with ten million events.

A query may use all cores, as a reader's may. Figures are medians of the time that a query takes, without HTTP, and of
the process's CPU time, which depends less on other load of the machine; the plain tables are asked once. The data are
kept in the directory given, for another run; otherwise they are deleted.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

from access.questions import Question, questions
from benchmarks.ingest import machine, verdict
from clickhouse.engine import Engine
from clickhouse.migrations import SCHEMA, migrate
from clickhouse.prices import load_prices, read_prices

MADE: Final = Path(__file__).parent / "made"
PER_SESSION: Final = {"logs": 240, "spans": 200, "metrics": 80}
TABLE: Final = {"logs": "otel_logs", "spans": "otel_traces", "metrics": "otel_metrics_sum"}
CHUNK: Final = 400_000
TARGET_MS: Final = 100
TARGET_SHARE: Final = 0.9
TARGET_RATIO: Final = 10
VIEWS: Final = (
    "telemetry_events",
    "telemetry_hourly",
    "telemetry_daily",
    "telemetry_sessions",
    "telemetry_measures",
    "telemetry_spans",
)
"""In the order in which they are made from one another."""
READERS_PLANNING: Final = "query_plan_merge_expressions = 1, optimize_and_compare_chain = 1"
"""A reader's connection plans as the engine does by default; `Engine.use` has what inserts want."""
GIVEN: Final = {"session": "session", "category": "tool Bash ShellError"}


def main() -> int:
    """Make the data unless they are there, and print a row for each question."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="and as many spans")
    parser.add_argument("--days", type=int, default=30, help="over which they are spread")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, help="keep the data here, or use those that are here")
    parser.add_argument("--question", action="append", help="only this one; may be repeated")
    parser.add_argument("--plain", action=argparse.BooleanOptionalAction, default=True, help="compare")
    options = parser.parse_args()
    print(machine())
    print(f"\nCommand: `{' '.join(['python -m benchmarks.queries', *sys.argv[1:]])}`")
    directory = options.directory or Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        run(directory, options)
    finally:
        if options.directory is None:
            shutil.rmtree(directory)
    return 0


def run(directory: Path, options: argparse.Namespace) -> None:
    """Open the engine, fill it, ask."""
    engine = Engine(directory / "clickhouse")
    engine.use("telemetry")
    migrate(engine, 3650)
    load_prices(engine, read_prices())
    counts = {"logs": options.events, "spans": options.events, "metrics": options.events // 20}
    for kind, count in counts.items():
        make(engine, kind, count, options.days)
    print(sizes(engine))
    if options.plain:
        make_plain(engine)
    asked = [one for one in questions() if options.question is None or one.name in options.question]
    print("\n| question | rows | ms | CPU ms | CPU ms, plain tables | ratio |\n|---|---|---|---|---|---|")
    results = []
    for question in asked:
        result = ask(engine, question, options.rounds, with_plain=options.plain)
        print(result.row(), flush=True)
        results.append(result)
    print(summary(results))
    engine.close()


def make(engine: Engine, kind: str, count: int, days: int) -> None:
    """Fill a table up to `count` rows that end now, the oldest first."""
    ((there,),) = engine.rows(f"SELECT count() FROM {TABLE[kind]}")  # noqa: S608  a constant
    begin = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    statement = (MADE / f"{kind}.sql").read_text()
    started = time.perf_counter()
    for first in range(there, count, CHUNK):
        engine.command(
            f"{statement} SETTINGS max_partitions_per_insert_block = 0",
            {
                "first": first,
                "count": min(CHUNK, count - first),
                "days": days,
                # The last one, which may be a part, is of the last day too: none is in the future by day.
                "sessions": -(-count // PER_SESSION[kind]),
                "begin": begin.strftime("%Y-%m-%d %H:%M:%S"),
            },
        )
    if there < count:
        if kind == "logs":
            # They were stored now, and would all be late.
            engine.command(
                "ALTER TABLE telemetry_events UPDATE arrived = toDateTime64(timestamp, 3) WHERE true"
                " SETTINGS mutations_sync = 2"
            )
        engine.command(f"OPTIMIZE TABLE {TABLE[kind]}")
        print(f"\nMade {count - there:,} {kind} in {time.perf_counter() - started:.0f} s.", flush=True)


def sizes(engine: Engine) -> str:
    """Return the tables with their rows and bytes."""
    rows = engine.rows(
        "SELECT table, sum(rows), sum(bytes_on_disk), sum(data_uncompressed_bytes) FROM system.parts"
        " WHERE active AND database = 'telemetry' GROUP BY table HAVING sum(rows) > 0 ORDER BY table"
    )
    head = "\n| table | rows | MB on disk | bytes a row | uncompressed |\n|---|---|---|---|---|"
    lines = []
    for table, count, disk, raw in rows:
        cells = [f"{count:,}", f"{disk / 1e6:,.1f}", f"{disk / count:.1f}", f"{raw / count:.0f}"]
        lines.append(f"| {table} | {' | '.join(cells)} |")
    return "\n".join([head, *lines])


def make_plain(engine: Engine) -> None:
    """Make views that compute from the plain tables the rows that ingest's views have written."""
    for table in VIEWS:
        (path,) = SCHEMA.glob(f"*_{table}_mv.sql")
        select = path.read_text().partition(" AS\n")[2]
        engine.command(f"CREATE OR REPLACE VIEW {plain(table)} AS {plain(select)}")


def plain(sql: str) -> str:
    """Return the statement with the tables replaced by the views."""
    return re.sub(rf"\b({'|'.join(VIEWS)})\b", r"plain_\1", sql)


@dataclass(frozen=True, slots=True)
class Result:
    """A question's figures, in milliseconds."""

    name: str
    rows: int
    ms: float
    cpu_ms: float
    plain_ms: float | None
    """CPU time of the same question on the plain tables."""

    @property
    def ratio(self) -> float | None:
        """How many times more CPU time the plain tables take."""
        return None if self.plain_ms is None else self.plain_ms / self.cpu_ms

    def row(self) -> str:
        """Return the table's row."""
        ratio = "" if self.ratio is None else f"{self.ratio:.1f}"
        plain_ms = "" if self.plain_ms is None else f"{self.plain_ms:,.0f}"
        return f"| {self.name} | {self.rows} | {self.ms:.0f} | {self.cpu_ms:.0f} | {plain_ms} | {ratio} |"


def ask(engine: Engine, question: Question, rounds: int, *, with_plain: bool) -> Result:
    """Run a question, and its variant on the plain tables where the two differ."""
    given: dict[str, str] = {}
    names = {parameter.name for parameter in question.parameters}
    if question.name == "session":
        ((session,),) = engine.rows("SELECT any(session_id) FROM telemetry_sessions WHERE day = today() - 3")
        given = {"session": session}
    given |= {name: value for name, value in GIVEN.items() if name in names and name not in given}
    values = question.values(given)
    rows, ms, cpu_ms = timed(engine, question.sql, values, rounds)
    other = plain(question.sql)
    plain_ms = None
    if with_plain and other != question.sql:
        _, _, plain_ms = timed(engine, other, values, 1, warm=False)
    return Result(question.name, rows, ms, cpu_ms, plain_ms)


def timed(
    engine: Engine, sql: str, values: dict[str, str], rounds: int, *, warm: bool = True
) -> tuple[int, float, float]:
    """Run a statement once unless told not to, and then `rounds` times; return its rows and medians in milliseconds."""
    statement = f"{sql}\nSETTINGS max_threads = {os.cpu_count()}, {READERS_PLANNING}"
    params: dict[str, Any] = dict(values)
    rows = engine.query(statement, params, "JSONCompactEachRow").count(b"\n") if warm else 0
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        engine.query(statement, params, "Null")
        cpus.append(1000 * (time.process_time() - cpu))
        walls.append(1000 * (time.perf_counter() - wall))
    return rows, median(walls), median(cpus)


def summary(results: list[Result]) -> str:
    """Return the lines about the targets: how many questions met them."""
    share = sum(result.ms < TARGET_MS for result in results) / max(1, len(results))
    by_cpu = sum(result.cpu_ms < TARGET_MS for result in results) / max(1, len(results))
    ratios = [result.ratio for result in results if result.ratio is not None]
    met = verdict(share >= TARGET_SHARE, f"at least {TARGET_SHARE:.0%}")
    lines = [
        f"\nUnder {TARGET_MS} ms: {share:.0%} of {len(results)} questions; {met}. By CPU time: {by_cpu:.0%}"
    ]
    if ratios:
        met = verdict(median(ratios) >= TARGET_RATIO, f"at least {TARGET_RATIO}")
        many = sum(ratio >= TARGET_RATIO for ratio in ratios)
        lines.append(f"\nAgainst the plain tables: {median(ratios):.1f} times less CPU in the median; {met}.")
        lines.append(f"At least {TARGET_RATIO} times: {many} of {len(ratios)} questions.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
