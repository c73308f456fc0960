"""The tables of the telemetry database as operations see them: their contents, and twins of them to work on.

A twin is an empty table of the same structure, with plain MergeTree as its engine, so that nothing in it expires or is
rolled up while it is worked on. Partitions go from a table to its twin and back as hard
links, in one step and at once. So a twin is a cut of its table (a backup), or is filled first and then put in place (a
restore). This feeds no views: the tables that they feed are saved and restored themselves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from clickhouse.database import Database
from clickhouse.quoting import identifier
from operations.errors import OperationError

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
# merges, which does not count as a change.
_FINGERPRINTS: Final = """
SELECT table, partition_id, concat(
    toString(any(tables.uuid)), ' ', if(any(engine) = 'MergeTree', toString(sum(rows)), '-'), ' ',
    toString(min(min_block_number)), ' ', toString(max(max_block_number)), ' ',
    toString(maxIf(data_version, data_version > max_block_number)))
FROM system.parts AS parts
INNER JOIN system.tables AS tables ON tables.database = parts.database AND tables.name = parts.table
WHERE parts.database = currentDatabase() AND active
GROUP BY table, partition_id"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that holds telemetry."""

    name: str
    keys: str
    """The clauses that partition and sort it, which a twin must share."""


def tables(database: Database) -> list[Table]:
    """Return the tables that hold telemetry, by name. Raises OperationError when there are none."""
    found = database.rows(_TABLES)
    if clustered := [name for name, engine, *_ in found if engine.startswith("Replicated")]:
        raise OperationError(
            f"{clustered[0]} is a table of a cluster, of which one server has a part only:"
            " use ClickHouse's own BACKUP … ON CLUSTER."
        )
    named = [Table(name, _keys(*keys)) for name, _, *keys in found if name != RECORDS]
    if not named:
        raise OperationError(
            "The database has no telemetry tables: start the server once, which makes them,"
            " or set CLICKHOUSE_DATABASE."
        )
    return named


def fingerprints(database: Database) -> dict[str, dict[str, str]]:
    """Return a text for every partition, by table and partition id, which changes when its rows do."""
    found: dict[str, dict[str, str]] = {}
    for table, partition, text in database.rows(_FINGERPRINTS):
        found.setdefault(table, {})[partition] = text
    return found


def counts(database: Database, name: str) -> dict[str, int]:
    """Count a table's rows by partition id."""
    found = database.rows(f"SELECT _partition_id, count() FROM {identifier(name)} GROUP BY 1")  # noqa: S608
    return {partition: int(rows) for partition, rows in found}


def migrations(database: Database) -> list[str]:
    """Return the names of the migrations that made the tables, such as `0001 otel_traces`."""
    return [
        f"{int(number):04d} {name}"
        for number, name in database.rows(f"SELECT number, name FROM {RECORDS} ORDER BY number")  # noqa: S608
    ]


@contextmanager
def twin(database: Database, table: Table, purpose: str) -> Iterator[str]:
    """Make a table's empty twin and return its name; it is dropped at the end."""
    name = f"_{purpose}_{table.name}"
    try:
        database.command(
            f"CREATE TABLE {identifier(name)} AS {identifier(table.name)} ENGINE = MergeTree {table.keys}"
            " SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
        )
        yield name
    finally:
        database.command(f"DROP TABLE IF EXISTS {identifier(name)} SYNC")


def clear(database: Database, purpose: str) -> None:
    """Drop the twins that a killed process left: their rows would outlive every retention."""
    found = database.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String})",
        {"prefix": f"_{purpose}_"},
    )
    for (name,) in found:
        database.command(f"DROP TABLE IF EXISTS {identifier(name)} SYNC")


def attach(database: Database, target: str, source: str) -> None:
    """Add every partition of one table to another of the same structure, in one step."""
    database.command(f"ALTER TABLE {identifier(target)} ATTACH PARTITION ALL FROM {identifier(source)}")


def empty(database: Database, name: str) -> None:
    """Remove every row of a table."""
    database.command(f"ALTER TABLE {identifier(name)} DROP PARTITION ALL")


def _keys(partition: str, primary: str, sorting: str) -> str:
    clauses = {"PARTITION BY": partition, "PRIMARY KEY": primary, "ORDER BY": sorting}
    return " ".join(f"{clause} ({key})" for clause, key in clauses.items() if key or clause == "ORDER BY")
