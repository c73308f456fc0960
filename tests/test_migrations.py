"""Migrations: in order, once, recorded, never edited; and the retention of every table."""

import shutil
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clickhouse.engine import Engine
from clickhouse.migrations import ANALYTICS, SCHEMA, SchemaError, migrate, migrations, retain
from clickhouse.quoting import Value, identifier
from tests.schema import STORED, TABLES, TIMELESS
from tests.server import Server

_APPLIED = "SELECT number, name, checksum FROM schema_migrations ORDER BY number"


@pytest.fixture
def database(engine: Engine) -> Iterator[Engine]:
    """Return the engine with an empty database as its default."""
    name = f"migrations_{uuid.uuid4().hex}"
    engine.use(name)
    yield engine
    engine.use("telemetry")
    engine.command(f"DROP DATABASE {identifier(name)}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the migrations, so that a test may edit them."""
    return Path(shutil.copytree(SCHEMA, tmp_path / "schema"))


def test_every_migration_is_applied_once_and_recorded(database: Engine) -> None:
    """A second run finds nothing to do."""
    known = migrations()
    assert migrate(database, 90) == known
    recorded = [[migration.number, migration.name, migration.checksum] for migration in known]
    assert database.rows(_APPLIED) == recorded
    assert migrate(database, 90) == []
    assert database.rows(_APPLIED) == recorded


class Told:
    """A database that remembers the statements that were run."""

    def __init__(self, database: Engine) -> None:
        self._database = database
        self.statements: list[str] = []

    def command(self, sql: str, params: Mapping[str, Value] | None = None) -> None:
        self.statements.append(sql)
        self._database.command(sql, params)

    def rows(self, sql: str, params: Mapping[str, Value] | None = None) -> list[list[Any]]:
        return self._database.rows(sql, params)


def test_a_new_store_is_made_with_its_retention_and_recorded_at_once(database: Engine) -> None:
    """No table is altered to the retention afterwards, and one insert has all migrations."""
    told = Told(database)
    migrate(told, 31, analytics_days=7)
    assert [sql for sql in told.statements if "MODIFY TTL" in sql] == []
    assert len([sql for sql in told.statements if "INSERT INTO schema_migrations" in sql]) == 1
    assert retain(database, 31, 7) == []


def test_a_new_store_whose_first_start_was_cut_off_is_made_all_the_same(database: Engine) -> None:
    """Its statements run once more over what they made, and change nothing."""
    migrate(database, 90)
    made = (
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    )
    before = database.rows(made)
    database.command("DROP TABLE schema_migrations SYNC")
    assert migrate(database, 90) == migrations()
    assert [row for row in database.rows(made) if row[0] != "schema_migrations"] == [
        row for row in before if row[0] != "schema_migrations"
    ]


def test_migrations_are_numbered_without_repeats() -> None:
    """Their order is their number."""
    numbers = [migration.number for migration in migrations()]
    assert numbers == sorted(set(numbers))


def test_a_new_migration_alone_is_applied(database: Engine, folder: Path) -> None:
    """An upgrade runs what is missing and nothing else."""
    migrate(database, 90, folder)
    number = migrations()[-1].number + 1
    (folder / f"{number:04d}_new.sql").write_text("CREATE TABLE new (x UInt8) ENGINE = MergeTree ORDER BY x")
    assert [(made.number, made.name) for made in migrate(database, 90, folder)] == [(number, "new")]
    assert database.rows("SELECT count() FROM new") == [[0]]


def test_an_edited_migration_stops_the_start_with_the_remedy(database: Engine, folder: Path) -> None:
    """A released file is never edited."""
    migrate(database, 90, folder)
    edited = folder / "0004_otel_logs.sql"
    edited.write_text(edited.read_text().replace("-- Log records", "-- Edited"))
    with pytest.raises(SchemaError) as caught:
        migrate(database, 30, folder)
    assert str(caught.value) == (
        "The database's schema does not fit this version: migration 4 (otel_logs) was applied with another"
        " text: restore the released file, and put the change into a new migration."
    )
    assert all("toIntervalDay(31)" not in engine for _, engine in database.rows(STORED))


def test_a_newer_database_stops_the_start_with_the_remedy(database: Engine, folder: Path) -> None:
    """A downgrade is refused before anything is changed, with all faults at once."""
    migrate(database, 90, folder)
    (folder / "0009_otel_metrics_exp_histogram.sql").unlink()
    (folder / "0001_otel_traces.sql").write_text("SELECT 1")
    with pytest.raises(SchemaError) as caught:
        migrate(database, 90, folder)
    assert "migration 1 (otel_traces) was applied with another text" in str(caught.value)
    assert (
        "migration 9 (otel_metrics_exp_histogram) is not known to this version: install a newer one"
        in str(caught.value)
    )


def test_a_migration_that_fails_is_not_recorded_and_is_tried_again(database: Engine, folder: Path) -> None:
    """Those before it stay; the next start applies the corrected one."""
    path = folder / "0005_otel_metrics_gauge.sql"
    right = path.read_text()
    path.write_text("CREATE TABLE broken (")
    with pytest.raises(Exception, match="SYNTAX_ERROR"):
        migrate(database, 90, folder)
    assert database.rows("SELECT max(number) FROM schema_migrations") == [[4]]
    path.write_text(right)
    assert [made.number for made in migrate(database, 90, folder)] == [
        made.number for made in migrations() if made.number >= 5
    ]


def test_a_changed_retention_alters_every_table(database: Engine) -> None:
    """And one that is as it should be alters none. A TTL counts from a row's day, hence the day more."""
    migrate(database, 90)
    with_ttl = [name for name, engine in database.rows(STORED) if name not in TIMELESS]
    assert set(TABLES) <= set(with_ttl)
    assert retain(database, 90) == []
    assert retain(database, 30) == with_ttl
    stored = dict(database.rows(STORED))
    assert {name: stored[name].count("toIntervalDay(31)") for name in with_ttl} == dict.fromkeys(with_ttl, 1)
    assert retain(database, 30) == []
    assert migrate(database, 90) == []
    assert all("toIntervalDay(91)" in dict(database.rows(STORED))[name] for name in with_ttl)


@pytest.mark.slow
def test_a_start_with_another_retention_alters_the_tables(start: Callable[..., Server]) -> None:
    """The setting takes effect at the next start."""
    for days in ("40", "7"):
        server = start(TELEMETRY_RETENTION_DAYS=days)
        assert server.stop(signal.SIGTERM) == 0
        (rows,) = server.rows(
            "SELECT name, engine_full FROM system.tables"
            " WHERE database = 'telemetry' AND engine LIKE '%MergeTree'"
        )
        stored = {row["name"]: row["engine_full"] for row in rows if row["name"] not in TIMELESS}
        assert set(TABLES) <= set(stored)
        assert [
            name
            for name, engine in stored.items()
            if f"toIntervalDay({31 if name in ANALYTICS else int(days) + 1})" not in engine
        ] == []
