"""The schema as ordered, recorded migrations, and the retention that holds for every table.

Each file of `schema/` is one statement, applied once and in order, and recorded in `schema_migrations` with a
checksum. A released file is never edited: a checksum that differs stops the start. Retention is a setting:
every table's TTL is altered to it whenever the two differ.

Several receivers may migrate one server at a time. A statement does nothing where it was run before, and the token of a
record keeps it from being stored twice.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clickhouse.database import Database
from clickhouse.filling import MARK, fill

SCHEMA = Path(__file__).parent / "schema"

_RECORD = """CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32,
    name String,
    checksum FixedString(64),
    applied_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = MergeTree
ORDER BY number
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000"""
ANALYTICS = frozenset({"session_metrics", "performance_metrics", "feature_usage"})
"""The tables of MCP servers' analytics, which have a retention of their own."""
_MOST_LISTED = 5
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_RETENTION = re.compile(r"toIntervalDay\(\d+\)")


class SchemaError(Exception):
    """The database's schema does not fit this version, which cannot update it. The text has the remedy."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `schema/`, for example number 1, name `otel_traces`."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the statement, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Path = SCHEMA) -> list[Migration]:
    """Read the migrations in their order."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        found.append(Migration(int(number), name, path.read_text(encoding="utf-8")))
    return found


def migrate(
    database: Database, retention_days: int, folder: Path = SCHEMA, analytics_days: int | None = None
) -> list[Migration]:
    """Apply the missing migrations, set the retention everywhere, and return the migrations applied.

    The tables of ANALYTICS are kept `analytics_days`; None: as long as all others.

    Raises SchemaError when the database holds a migration that this version does not know or has with another text.
    """
    database.command(_RECORD)
    recorded = {
        int(number): (name, checksum)
        for number, name, checksum in database.rows(
            "SELECT number, name, toString(checksum) FROM schema_migrations"
        )
    }
    known = migrations(folder)
    _check(known, recorded)
    applied = [migration for migration in known if migration.number not in recorded]
    done: list[Migration] = []
    try:
        for migration in applied:
            if migration.sql.startswith(MARK):
                fill(database, migration.sql)
            database.command(_retained(migration.sql, retention_days, analytics_days))
            done.append(migration)
            # In a new store all statements may run once more, so one insert records them all.
            if recorded:
                _record(database, done)
                done.clear()
    finally:
        if done:
            _record(database, done)
    retain(database, retention_days, analytics_days)
    return applied


def _record(database: Database, done: Sequence[Migration]) -> None:
    checksums = [migration.checksum for migration in done]
    token = checksums[0] if len(done) == 1 else hashlib.sha256("".join(checksums).encode()).hexdigest()
    database.command(
        "INSERT INTO schema_migrations (number, name, checksum)"  # noqa: S608  a number and a checksum
        f" SETTINGS insert_deduplication_token = '{done[-1].number}-{token}'"
        " SELECT row.1, row.2, row.3 FROM (SELECT arrayJoin(arrayZip("
        "{numbers:Array(UInt32)}, {names:Array(String)}, {checksums:Array(String)})) AS row)",
        {
            "numbers": [migration.number for migration in done],
            "names": [migration.name for migration in done],
            "checksums": checksums,
        },
    )


def retention_of(table: str, days: int, analytics_days: int | None) -> int:
    """Return how many days a table keeps its rows; of the tables of ANALYTICS `analytics_days`, unless that is None."""
    is_of_analytics = table.removesuffix("_local") in ANALYTICS
    return analytics_days if is_of_analytics and analytics_days is not None else days


def _retained(sql: str, days: int, analytics_days: int | None) -> str:
    """Return a migration's statement such that a table is made with its retention, and need not be altered to it."""
    table = _TABLE.search(sql)
    if not table:
        return sql
    kept = retention_of(table[1], days, analytics_days) + 1
    head, ttl, options = sql.partition("\nTTL ")
    return head + ttl + _RETENTION.sub(f"toIntervalDay({kept})", options)


def retain(database: Database, days: int, analytics_days: int | None = None) -> list[str]:
    """Alter the TTL of every table whose retention is not `days`; return the tables altered.

    Of the tables of ANALYTICS it is `analytics_days`, unless that is None.

    A TTL counts from a row's day in UTC, so it has one day more: a row stays `days` days at least.
    """
    tables = database.rows(
        "SELECT name, engine_full FROM system.tables"
        " WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND engine_full LIKE '% TTL %'"
        " ORDER BY name"
    )
    altered = []
    for name, engine in tables:
        ttl = engine.partition(" TTL ")[2].partition(" SETTINGS ")[0]
        wanted = _RETENTION.sub(f"toIntervalDay({retention_of(name, days, analytics_days) + 1})", ttl)
        if wanted != ttl:
            database.command(f"ALTER TABLE {name} MODIFY TTL {wanted}")
            altered.append(name)
    return altered


def columns(database: Database) -> Mapping[str, Mapping[str, str]]:
    """Return the columns of every table and view: their types by name, by table."""
    found: dict[str, dict[str, str]] = {}
    rows = database.rows("SELECT table, name, type FROM system.columns WHERE database = currentDatabase()")
    for table, name, kind in rows:
        found.setdefault(table, {})[name] = kind
    return found


def check_columns(expected: Mapping[str, Mapping[str, str]], actual: Mapping[str, Mapping[str, str]]) -> None:
    """Raise SchemaError when a column is missing or has another type; more columns than expected are fine.

    An empty answer is fine too: the user may not see the columns.
    """
    problems = [
        f"{table}.{name} should be {kind} and is {actual.get(table, {}).get(name, 'not there')}"
        for table, names in sorted(expected.items())
        for name, kind in names.items()
        if actual.get(table, {}).get(name) != kind
    ]
    if actual and problems:
        more = f"; and {len(problems) - _MOST_LISTED} more" if len(problems) > _MOST_LISTED else ""
        raise SchemaError(
            "The database's tables are not those that are written: "
            + "; ".join(problems[:_MOST_LISTED])
            + f"{more}. Alter them, or set CLICKHOUSE_DATABASE to another name."
        )


def _check(known: Sequence[Migration], recorded: Mapping[int, tuple[str, str]]) -> None:
    problems = []
    by_number = {migration.number: migration for migration in known}
    for number, (name, checksum) in sorted(recorded.items()):
        migration = by_number.get(number)
        if migration is None:
            problems.append(f"migration {number} ({name}) is not known to this version: install a newer one")
        elif migration.checksum != checksum:
            problems.append(
                f"migration {number} ({name}) was applied with another text:"
                " restore the released file, and put the change into a new migration"
            )
    if problems:
        raise SchemaError("The database's schema does not fit this version: " + "; ".join(problems) + ".")
