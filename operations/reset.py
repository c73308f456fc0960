"""Removes telemetry from a running server, embedded or not: all of it, or that of days before a day.

Whole partitions are removed, which are days (UTC). Only a backup can bring the rows back.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from clickhouse.database import Database
from clickhouse.quoting import identifier, literal
from operations.tables import counts, tables

_DAYS: Final = """
SELECT table, partition_id
FROM system.parts
WHERE database = currentDatabase() AND active AND toDateOrZero(partition) BETWEEN '1970-01-02' AND {last:String}
GROUP BY table, partition_id"""


@dataclass(frozen=True, slots=True)
class Removal:
    """A table's partitions to remove, and the number of their rows."""

    table: str
    partitions: tuple[str, ...]
    rows: int


def choose(database: Database, before: date | None) -> list[Removal]:
    """Return the partitions to remove: all, or the days before a day. Raises OperationError."""
    old = None
    if before is not None:
        last = date.fromordinal(before.toordinal() - 1).isoformat()
        old = {(table, partition) for table, partition in database.rows(_DAYS, {"last": last})}
    found = []
    for table in tables(database):
        rows = counts(database, table.name)
        parts = tuple(sorted(part for part in rows if old is None or (table.name, part) in old))
        if parts:
            found.append(Removal(table.name, parts, sum(rows[part] for part in parts)))
    return found


def remove(database: Database, removals: list[Removal]) -> None:
    """Remove the partitions. Raises OperationError."""
    for one in removals:
        drops = ", ".join(f"DROP PARTITION ID {literal(part)}" for part in one.partitions)
        database.command(f"ALTER TABLE {identifier(one.table)} {drops}")
