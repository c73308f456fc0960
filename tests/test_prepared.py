"""The store that fixtures copy: it is what migrations make, and no other code's."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

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


def test_a_copy_has_the_schema_that_migrations_make_from_nothing(tmp_path: Path) -> None:
    """The same tables and views by their whole definitions, and the same migrations on record."""
    prepared.fill(tmp_path / "data")
    # In a process of its own, which has an engine of its own: other tests drop views in this one's.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        copied, made = pool.submit(_schemas, tmp_path / "data").result()
    assert made[0]
    assert made[1]
    assert copied == made


def _schemas(data: Path) -> list[tuple[dict[str, str], list[list[Any]]]]:
    """Return the tables and the migrations of a store's database, and those of one that is made beside it."""
    engine = Engine(data / "clickhouse")
    found = []
    for name in ("telemetry", "from_nothing"):
        engine.use(name)
        if name == "from_nothing":
            migrations.migrate(engine, 90)
        found.append((dict(engine.rows(_TABLES)), engine.rows(_APPLIED)))
    engine.close()
    return found


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
