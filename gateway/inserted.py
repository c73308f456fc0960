"""Rows that clients insert over this interface: counted by table, and told once, since no privacy rule sees them.

The rules apply to telemetry that arrives over OTLP. A row that is inserted here is stored as it was sent.
"""

import re
from typing import Final

import structlog
from prometheus_client import Counter

from clickhouse.columns import STRUCTURES

log = structlog.get_logger()

_TOLD: Final = 1000
_NAME: Final = re.compile(r"\w{1,64}", re.ASCII)


class Inserted:
    """`counter` counts rows by `table`: the telemetry tables by name, all others as `other`."""

    def __init__(self, database: str, counter: Counter) -> None:
        self._database = database
        self._counter = counter
        self._told: set[str] = set()

    def count(self, table: str, rows: int) -> None:
        """Count the rows of one INSERT; the first of each table is logged."""
        name = table.removeprefix(f"{self._database}.")
        known = name if name in STRUCTURES else "other"
        self._counter.labels(known).inc(rows)
        told = name if _NAME.fullmatch(name) else known
        if told in self._told or len(self._told) >= _TOLD:
            return
        self._told.add(told)
        log.warning(
            "Rows were inserted over ClickHouse's interface, where no privacy rule applies: send telemetry to the OTLP"
            " ports to have it redacted.",
            table=told,
        )
