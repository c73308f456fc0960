"""Measures the size of a typed event on disk beside its OTLP: `python -m benchmarks.event_storage`.

Log requests are stored in an embedded engine, as they are inserted and merged into one part a day: those of the demo,
whose values are like those of real clients, and those of the corpus, whose ids and texts are random. It prints the
Markdown that docs/performance.md contains.
"""

import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from benchmarks import corpus
from benchmarks.embedded import embedded
from benchmarks.ingest import LARGE, machine
from clickhouse.engine import Engine
from clickhouse.store import EmbeddedWriter
from clickhouse.typed_rows import TypedRows
from demo.generate import Ledger, Plan, generate
from otlp.signals import Signal, survey
from receiver.transform import Surveyed, Transform

TARGET = 1 / 20
BATCH_BYTES = 4 << 20
DAY = 86_400
_SIZE = (
    "SELECT sum(rows), sum(bytes_on_disk), count() FROM system.parts"
    " WHERE active AND database = currentDatabase() AND table = 'telemetry_events'"
)


def main() -> None:
    """Store both and print their sizes."""
    print(machine())
    print("\nCommand: `python -m benchmarks.event_storage`\n")
    print("| log requests of | events | OTLP | as inserted | ratio | merged | ratio | target |")
    print("|---|---|---|---|---|---|---|---|")
    with embedded() as (engine, transform):
        for name, bodies in (("the demo", demo()), ("the corpus", random())):
            print(row(engine, transform, name, bodies), flush=True)


def demo() -> Iterator[bytes]:
    """Make the log requests of a week of sixty people."""
    until = datetime.fromtimestamp(time.time() // DAY * DAY, UTC)
    plan = Plan(seed=3, sessions=1200, users=60, days=6, until=until)
    return (request.body for request in generate(plan, Ledger()) if request.signal == Signal.LOGS)


def random() -> Iterator[bytes]:
    """Make log requests of the last hours."""
    begin = time.time_ns() - 3 * 3_600_000_000_000
    return (corpus.logs(LARGE, seed, begin + seed * 20_000_000_000) for seed in range(200))


def batches(bodies: Iterable[bytes]) -> Iterator[list[Surveyed]]:
    """Combine requests as the receiver does under load."""
    batch: list[Surveyed] = []
    size = 0
    for body in bodies:
        batch.append(Surveyed(body, survey(Signal.LOGS, body).tables["otel_logs"]))
        size += len(body)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def row(engine: Engine, transform: Transform, name: str, bodies: Iterable[bytes]) -> str:
    """Store requests in empty tables, and return the line of the report in bytes an event."""
    engine.command("TRUNCATE TABLE otel_logs")
    engine.command("TRUNCATE TABLE telemetry_events")
    engine.command("SYSTEM STOP MERGES telemetry_events")
    writer = TypedRows(EmbeddedWriter(engine), engine)
    sent = 0
    for batch in batches(bodies):
        sent += sum(len(request.body) for request in batch)
        writer.insert("otel_logs", transform.run("otel_logs", batch).data, uuid.uuid4().hex)
    writer.close()
    ((events, inserted, parts),) = engine.rows(_SIZE)
    engine.command("SYSTEM START MERGES telemetry_events")
    engine.command("OPTIMIZE TABLE telemetry_events FINAL")
    ((_, merged, merged_parts),) = engine.rows(_SIZE)
    met = "met" if merged / sent <= TARGET else "not met"
    cells = [
        name,
        f"{events:,}",
        f"{sent / events:.0f}",
        f"{inserted / events:.1f} in {parts} parts",
        f"1/{sent / inserted:.1f}",
        f"{merged / events:.1f} in {merged_parts}",
        f"1/{sent / merged:.1f}",
        f"1/20: {met}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
