"""Measures the views' cost: `python -m benchmarks.views`, in the engine alone, with no gRPC and no other process.

Blocks of log records and of spans are made, inserted, and merged into one part a table, with the views that fill the
typed events, sessions and roll-ups and without any, in turn. The figures are CPU time a record, the least of the
rounds; the ratio is the share of its speed that ingest keeps. It prints the Markdown that docs/performance.md contains.
"""

import argparse
import resource
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import corpus
from benchmarks.embedded import embedded
from benchmarks.ingest import LARGE, machine
from clickhouse.engine import Engine
from clickhouse.store import EmbeddedWriter
from clickhouse.typed_rows import TypedRows
from otlp.signals import Signal, survey
from receiver.transform import Block, Surveyed, Transform

TARGET = 0.85
REQUESTS, BLOCKS = 40, 8
"""Requests of a block, about as many as a batch has, and blocks that are merged, as many as a merge takes."""
CORPORA = {"otel_logs": (Signal.LOGS, corpus.logs), "otel_traces": (Signal.TRACES, corpus.traces)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    print("\nCommand: `python -m benchmarks.views`\n")
    print(
        "| CPU, µs a record | transform | insert | merge | all | with views: insert | merge | all | ratio | target |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    with embedded() as (engine, transform):
        bench = Bench(engine, transform, TypedRows(EmbeddedWriter(engine), engine))
        for table in CORPORA:
            print(bench.row(table, options.rounds), flush=True)


@dataclass(frozen=True, slots=True)
class Bench:
    """The engine with its tables, and the transform that makes rows."""

    engine: Engine
    transform: Transform
    typed: TypedRows
    """Its statements stay open from one round to the next, as in a server."""

    def row(self, table: str, rounds: int) -> str:
        """Measure a table with and without the views that it feeds, and return the line of the report."""
        requests = [self._requests(table, number) for number in range(BLOCKS)]
        records = BLOCKS * REQUESTS * LARGE
        blocks = [self.transform.run(table, some) for some in requests]
        transformed = least(rounds, lambda: [self.transform.run(table, some) for some in requests], records)
        with_views: list[tuple[float, float]] = []
        without: list[tuple[float, float]] = []
        for _ in range(rounds):
            with_views.append(self._stored(blocks, records, with_typed=True))
            views = [
                name
                for (name,) in self.engine.rows(
                    "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'MaterializedView'"
                )
            ]
            for view in views:
                self.engine.command(f"DETACH TABLE {view}")
            without.append(self._stored(blocks, records, with_typed=False))
            for view in views:
                self.engine.command(f"ATTACH TABLE {view}")
        plain, fed = min(without, key=sum), min(with_views, key=sum)
        alone, together = transformed + sum(plain), transformed + sum(fed)
        ratio = alone / together
        met = "met" if ratio >= TARGET else "not met"
        figures = (transformed, *plain, alone, *fed, together)
        cells = [
            f"`{table}`",
            *(f"{figure:.1f}" for figure in figures),
            f"{ratio:.2f}",
            f"at least {TARGET}: {met}",
        ]
        return f"| {' | '.join(cells)} |"

    def _requests(self, table: str, number: int) -> Sequence[Surveyed]:
        signal, make = CORPORA[table]
        start = time.time_ns() - 3_600_000_000_000 + number * 20_000_000_000
        bodies = [make(LARGE, REQUESTS * number + place, start) for place in range(REQUESTS)]
        return [Surveyed(body, survey(signal, body).tables[table]) for body in bodies]

    def _stored(self, blocks: Sequence[Block], records: int, *, with_typed: bool) -> tuple[float, float]:
        """Insert blocks into empty tables, then merge all. Return the cost of each step."""
        tables = [
            name
            for (name,) in self.engine.rows(
                "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
                " AND name != 'schema_migrations'"
            )
        ]
        plain = EmbeddedWriter(self.engine)
        writer = self.typed if with_typed else plain
        for table in tables:
            self.engine.command(f"TRUNCATE TABLE {table}")
        self.engine.command("SYSTEM STOP MERGES")

        def insert() -> None:
            for block in blocks:
                writer.insert(block.table, block.data, uuid.uuid4().hex)

        def merge() -> None:
            for table in tables:
                # What the engine has merged by itself by then is one part, and is not merged a second time.
                self.engine.command(
                    f"OPTIMIZE TABLE {table} FINAL SETTINGS optimize_skip_merged_partitions = 1"
                )

        inserted = least(1, insert, records)
        self.engine.command("SYSTEM START MERGES")
        return inserted, least(1, merge, records)


def least(rounds: int, work: Callable[[], object], records: int) -> float:
    """Return the least CPU time that some work takes, in microseconds a record."""
    spent = []
    for _ in range(rounds):
        before = cpu_seconds()
        work()
        spent.append(cpu_seconds() - before)
    return min(spent) * 1e6 / records


def cpu_seconds() -> float:
    """Return the CPU time of this process so far, in all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
