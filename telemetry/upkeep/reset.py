"""Removes telemetry from a running server, embedded or not: all of it, or that of days before a day.

Whole partitions go, which are days (UTC). What is removed cannot be had back but from a backup.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from clickhouse.engine import identifier
from telemetry.upkeep.tables import Session, counts, tables

_DAYS: Final = """
SELECT table, partition_id
FROM system.parts
WHERE database = currentDatabase() AND active AND toDateOrZero(partition) BETWEEN '1970-01-02' AND {last:String}
GROUP BY table, partition_id"""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A table's partitions that are to go, and how many rows are in them."""

    table: str
    partitions: tuple[str, ...]
    rows: int


def choose(session: Session, before: date | None) -> list[Doomed]:
    """Find what is to go: everything, or the days before a day. Raises UpkeepError."""
    old = None
    if before is not None:
        last = date.fromordinal(before.toordinal() - 1).isoformat()
        old = {(table, partition) for table, partition in session.rows(_DAYS, {"last": last})}
    found = []
    for table in tables(session):
        rows = counts(session, table.name)
        parts = tuple(sorted(part for part in rows if old is None or (table.name, part) in old))
        if parts:
            found.append(Doomed(table.name, parts, sum(rows[part] for part in parts)))
    return found


def remove(session: Session, doomed: list[Doomed]) -> None:
    """Remove the partitions. Raises UpkeepError."""
    for one in doomed:
        drops = ", ".join(f"DROP PARTITION ID '{part}'" for part in one.partitions)
        session.command(f"ALTER TABLE {identifier(one.table)} {drops}")
