"""Runs readers' statements one by one, as the gateway would make them, and prints what each cost.

A process of its own, since a function that does not end can only be killed. It reads a statement a line, and writes
`refused`, or `ran` and the CPU-seconds that it took.
"""

import sys
import time
from contextlib import suppress
from typing import Final

from clickhouse.engine import Engine
from gateway.errors import QueryError
from gateway.parser import Parser
from gateway.policy import Role
from gateway.session import EngineSession

COLUMNS: Final = {
    "text": "repeat('a', 1000000)",
    "almost": "concat(repeat('a', 500000), 'b')",
    "words": "repeat('ab c,d/e?f=1&', 70000)",
    "short": "repeat('a', 65000)",
    "other": "concat(repeat('b', 64000), 'c')",
    "deep": "concat(repeat('{\"a\":', 100000), '1', repeat('}', 100000))",
    "open": "repeat('(', 300000)",
    "ints": "range(1000000)",
    "texts": "arrayMap(x -> toString(x), range(100000))",
    "same": "arrayWithConstant(1000000, 'a')",
    "points": "arrayMap(i -> (toFloat64(i % 1000), toFloat64(cityHash64(i) % 1000)), range(20000))",
    "ring": "[arrayMap(i -> (toFloat64(i % 1000), toFloat64(cityHash64(i) % 1000)), range(20000))]",
    "pairs": "mapFromArrays(range(100000), range(100000))",
    "bits": "bitmapBuild(range(1000000))",
    "most": "4294967295",
    "many": "1000000",
    "half": "0.5",
    "moment": "toDateTime('2020-01-01 00:00:00', 'UTC')",
    "day": "toDate('2020-01-01')",
}
"""The largest arguments that a reader can make without much memory, by the name of the column that holds each."""
SETTINGS: Final = {
    "max_memory_usage": str(1 << 30),
    "max_threads": "1",
    "max_block_size": "32768",
    "function_range_max_elements_in_block": "10000000",
}


def main() -> None:
    """Make the table of one row, and run each line of the input."""
    engine = Engine(None, 1)
    engine.use("telemetry")
    made = ", ".join(f"{value} AS {name}" for name, value in COLUMNS.items())
    engine.command(f"CREATE TABLE large ENGINE = Memory AS SELECT {made}")
    parsing = EngineSession(engine)
    parser = Parser(parsing, "telemetry")
    session = EngineSession(engine)
    session.settle("telemetry", SETTINGS, read_only=1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        begun = time.process_time()
        try:
            statement = parser.parse(line.strip(), {}, Role.READER, None)
        except QueryError:
            sys.stdout.write("refused\n")
        else:
            with suppress(QueryError):  # most calls have arguments of a wrong type
                session.fetch(statement.sql, "Null", {})
            sys.stdout.write(f"ran {time.process_time() - begun:.3f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
