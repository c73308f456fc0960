"""The store that fixtures copy: it is what migrations make, and no other code's."""

from pathlib import Path

import pytest

from clickhouse import migrations
from clickhouse.engine import Engine
from tests import prepared

_TABLES = (
    # Not where `telemetry.` begins the name of an attribute, in quotes.
    "SELECT name, replaceRegexpAll(create_table_query, concat('([^''])', currentDatabase(), '[.]'), '\\\\1')"
    " FROM system.tables"
    " WHERE database = currentDatabase() ORDER BY name"
)
_APPLIED = "SELECT number, name, checksum FROM schema_migrations ORDER BY number"


def test_a_copy_has_the_schema_that_migrations_make_from_nothing(engine: Engine) -> None:
    """The same tables and views by their whole definitions, and the same migrations on record."""
    copied = dict(engine.rows(_TABLES))
    recorded = engine.rows(_APPLIED)
    engine.use("from_nothing")
    try:
        migrations.migrate(engine, 90)
        made = dict(engine.rows(_TABLES))
        assert {name: copied.get(name) for name in made} == made
        assert recorded == engine.rows(_APPLIED)
    finally:
        engine.use("telemetry")
        engine.command("DROP DATABASE from_nothing")


def test_an_edited_migration_changes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that was prepared before an edit is not copied after it."""
    before = prepared.key()
    assert prepared.key() == before
    for path in migrations.SCHEMA.glob("*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(prepared, "SCHEMA", tmp_path)
    (tmp_path / path.name).write_bytes(path.read_bytes() + b"-- edited\n")
    assert prepared.key() != before


def test_a_server_without_tables_of_its_own_gets_no_store(tmp_path: Path) -> None:
    """In server mode the data directory is the server's to make; so is one that is there already."""
    prepared.fill(tmp_path / "data", {"CLICKHOUSE_URL": "http://127.0.0.1:1"})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "data").mkdir()
    prepared.fill(tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_copy_is_for_its_owner_alone(tmp_path: Path) -> None:
    """As what a server makes is: no file or folder is open to others."""
    prepared.fill(tmp_path / "data")
    found = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert [str(path) for path in found if not path.is_symlink() and path.stat().st_mode & 0o077] == []
