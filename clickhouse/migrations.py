"""The schema as ordered, recorded migrations, and the retention that holds for every table.

Each file of `schema/` is one statement, applied once and in order, and recorded in `schema_migrations` with a
checksum. A released file is never edited: a checksum that differs stops the start. Retention is a setting:
every table's TTL is altered to it whenever the two differ.

Several receivers may migrate one server at a time: each statement does nothing where it was run before, so
whoever comes second finds it done, and a record has a token that makes it one.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

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
_FAULTS_TOLD = 5
_RETENTION = re.compile(r"toIntervalDay\(\d+\)")


class Session(Protocol):
    """What migrations need of a database, embedded or server."""

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing."""

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """Run a query and return its rows."""


class SchemaError(Exception):
    """The database's schema is not one that this version can bring up to date. The text has the remedy."""


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


def migrate(session: Session, retention_days: int, folder: Path = SCHEMA) -> list[Migration]:
    """Apply what is missing, set the retention everywhere, and return the migrations applied.

    Raises SchemaError when the database holds a migration that this version does not know or has otherwise.
    """
    session.command(_RECORD)
    recorded = {
        int(number): (name, checksum)
        for number, name, checksum in session.rows(
            "SELECT number, name, toString(checksum) FROM schema_migrations"
        )
    }
    known = migrations(folder)
    _check(known, recorded)
    applied = [migration for migration in known if migration.number not in recorded]
    for migration in applied:
        session.command(migration.sql)
        session.command(
            "INSERT INTO schema_migrations (number, name, checksum)"
            f" SETTINGS insert_deduplication_token = '{migration.number}-{migration.checksum}'"
            " SELECT {number:UInt32}, {name:String}, {checksum:String}",
            {"number": migration.number, "name": migration.name, "checksum": migration.checksum},
        )
    retain(session, retention_days)
    return applied


def retain(session: Session, days: int) -> list[str]:
    """Alter the TTL of every table whose retention is not `days`; return the tables altered.

    A TTL counts from a row's day in UTC, so it has one day more: a row stays `days` days at least.
    """
    tables = session.rows(
        "SELECT name, engine_full FROM system.tables"
        " WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND engine_full LIKE '% TTL %'"
        " ORDER BY name"
    )
    altered = []
    for name, engine in tables:
        ttl = engine.partition(" TTL ")[2].partition(" SETTINGS ")[0]
        wanted = _RETENTION.sub(f"toIntervalDay({days + 1})", ttl)
        if wanted != ttl:
            session.command(f"ALTER TABLE {name} MODIFY TTL {wanted}")
            altered.append(name)
    return altered


def columns(session: Session) -> Mapping[str, Mapping[str, str]]:
    """Read the columns of every table and view: their types by name, by table."""
    found: dict[str, dict[str, str]] = {}
    rows = session.rows("SELECT table, name, type FROM system.columns WHERE database = currentDatabase()")
    for table, name, kind in rows:
        found.setdefault(table, {})[name] = kind
    return found


def check_columns(expected: Mapping[str, Mapping[str, str]], actual: Mapping[str, Mapping[str, str]]) -> None:
    """Raise SchemaError when a column is missing or has another type; more columns than expected are fine.

    So are no columns at all: then the user may not see them.
    """
    faults = [
        f"{table}.{name} should be {kind} and is {actual.get(table, {}).get(name, 'not there')}"
        for table, names in sorted(expected.items())
        for name, kind in names.items()
        if actual.get(table, {}).get(name) != kind
    ]
    if actual and faults:
        more = f"; and {len(faults) - _FAULTS_TOLD} more" if len(faults) > _FAULTS_TOLD else ""
        raise SchemaError(
            "The database's tables are not those that are written: "
            + "; ".join(faults[:_FAULTS_TOLD])
            + f"{more}. Alter them, or set CLICKHOUSE_DATABASE to another name."
        )


def _check(known: Sequence[Migration], recorded: Mapping[int, tuple[str, str]]) -> None:
    faults = []
    by_number = {migration.number: migration for migration in known}
    for number, (name, checksum) in sorted(recorded.items()):
        migration = by_number.get(number)
        if migration is None:
            faults.append(f"migration {number} ({name}) is not known to this version: install a newer one")
        elif migration.checksum != checksum:
            faults.append(
                f"migration {number} ({name}) was applied with another text:"
                " restore the released file, and put the change into a new migration"
            )
    if faults:
        raise SchemaError("The database's schema does not fit this version: " + "; ".join(faults) + ".")
