"""An embedded engine with its tables, and the transform under the default rules, for benchmarks without a server."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clickhouse.engine import Engine
from clickhouse.migrations import migrate
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from receiver.scrub import Scrub
from receiver.transform import Transform

RETENTION_DAYS = 90


@contextmanager
def embedded() -> Iterator[tuple[Engine, Transform]]:
    """Open an engine over a directory that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        engine = Engine(Path(directory), 2)
        engine.use("telemetry")
        migrate(engine, RETENTION_DAYS)
        rules = load_rules(None, Level.strict)
        yield engine, Transform(engine, rules, Scrub(Sanitizer(rules, None)), "", RETENTION_DAYS)
        engine.close()
