"""The tables of the telemetry database as upkeep sees them: what they hold, and twins of them to work on.

A twin is an empty table of the same structure, with plain MergeTree as its engine, so that nothing in it expires or is
rolled up while it is worked on. Partitions go from a table to its twin and back as hard
links, in one step and in no time, so that a twin is a cut of its table (a backup), or is filled at leisure and put in
place (a restore). Views are not fed by that: what they feed are tables of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from clickhouse.engine import Value, identifier
from telemetry.upkeep.errors import UpkeepError

RECORDS: Final = "schema_migrations"
"""The one table whose rows belong to the database, not to its telemetry."""

_TABLES: Final = """
SELECT name, engine, partition_key, primary_key, sorting_key
FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
    AND NOT startsWith(name, '_') AND NOT startsWith(name, '.')
ORDER BY name"""

# Merges change none of these; inserts, mutations, dropped and replaced partitions do. A part's data version is that of
# its latest mutation, which is higher than its blocks, or else its first block. Engines that roll up lose rows in
# merges, which is no change.
_FINGERPRINTS: Final = """
SELECT table, partition_id, concat(
    toString(any(tables.uuid)), ' ', if(any(engine) = 'MergeTree', toString(sum(rows)), '-'), ' ',
    toString(min(min_block_number)), ' ', toString(max(max_block_number)), ' ',
    toString(maxIf(data_version, data_version > max_block_number)))
FROM system.parts AS parts
INNER JOIN system.tables AS tables ON tables.database = parts.database AND tables.name = parts.table
WHERE parts.database = currentDatabase() AND active
GROUP BY table, partition_id"""


class Session(Protocol):
    """What is asked of a database."""

    def rows(self, sql: str, params: Mapping[str, Value] | None = None) -> Sequence[Sequence[Any]]:
        """Run a query whose result is small; give its rows."""

    def command(self, sql: str, params: Mapping[str, Value] | None = None) -> None:
        """Run a statement that returns nothing."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that holds telemetry."""

    name: str
    keys: str
    """The clauses that partition and sort it, which a twin must share."""


def tables(session: Session) -> list[Table]:
    """Give the tables that hold telemetry, by name. Raises UpkeepError when there are none."""
    found = session.rows(_TABLES)
    if clustered := [name for name, engine, *_ in found if engine.startswith("Replicated")]:
        raise UpkeepError(
            f"{clustered[0]} is a table of a cluster, of which one server has a part only:"
            " use ClickHouse's own BACKUP … ON CLUSTER."
        )
    named = [Table(name, _keys(*keys)) for name, _, *keys in found if name != RECORDS]
    if not named:
        raise UpkeepError(
            "The database has no telemetry tables: start the server once, which makes them,"
            " or set CLICKHOUSE_DATABASE."
        )
    return named


def fingerprints(session: Session) -> dict[str, dict[str, str]]:
    """Give every partition that has rows, by table and partition id, a text that differs once its rows do."""
    found: dict[str, dict[str, str]] = {}
    for table, partition, text in session.rows(_FINGERPRINTS):
        found.setdefault(table, {})[partition] = text
    return found


def counts(session: Session, name: str) -> dict[str, int]:
    """Count a table's rows by partition id."""
    found = session.rows(f"SELECT _partition_id, count() FROM {identifier(name)} GROUP BY 1")  # noqa: S608
    return {partition: int(rows) for partition, rows in found}


def migrations(session: Session) -> list[str]:
    """Give the names of the migrations that made the tables, such as `0001 otel_traces`."""
    return [
        f"{int(number):04d} {name}"
        for number, name in session.rows(f"SELECT number, name FROM {RECORDS} ORDER BY number")  # noqa: S608
    ]


@contextmanager
def twin(session: Session, table: Table, purpose: str) -> Iterator[str]:
    """Make a table's empty twin and give its name; it is dropped at the end."""
    name = f"_{purpose}_{table.name}"
    try:
        session.command(
            f"CREATE TABLE {identifier(name)} AS {identifier(table.name)} ENGINE = MergeTree {table.keys}"
            " SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
        )
        yield name
    finally:
        session.command(f"DROP TABLE IF EXISTS {identifier(name)} SYNC")


def clear(session: Session, purpose: str) -> None:
    """Drop the twins that a killed process left: their rows would outlive every retention."""
    found = session.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String})",
        {"prefix": f"_{purpose}_"},
    )
    for (name,) in found:
        session.command(f"DROP TABLE IF EXISTS {identifier(name)} SYNC")


def attach(session: Session, target: str, source: str) -> None:
    """Add every partition of one table to another of the same structure, in one step."""
    session.command(f"ALTER TABLE {identifier(target)} ATTACH PARTITION ALL FROM {identifier(source)}")


def empty(session: Session, name: str) -> None:
    """Remove every row of a table."""
    session.command(f"ALTER TABLE {identifier(name)} DROP PARTITION ALL")


def _keys(partition: str, primary: str, sorting: str) -> str:
    clauses = {"PARTITION BY": partition, "PRIMARY KEY": primary, "ORDER BY": sorting}
    return " ".join(f"{clause} ({key})" for clause, key in clauses.items() if key or clause == "ORDER BY")
