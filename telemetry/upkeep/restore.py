"""Puts a backup back, into a running server or into a scratch engine that proves it readable.

In this order: every file's checksum; whether this version knows the backup's schema; whether there is something to
overwrite; then all tables are filled beside the real ones and their rows counted; only then each is put in place, in
one step a table. What fails before leaves the database as it was.
"""

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from clickhouse.engine import Engine, identifier
from clickhouse.http.session import Session as EngineSession
from clickhouse.http.statement import from_file
from clickhouse.migrations import migrate
from telemetry.upkeep import archive, sealed
from telemetry.upkeep.archive import Backup
from telemetry.upkeep.errors import UpkeepError
from telemetry.upkeep.tables import Session, Table, attach, clear, counts, empty, migrations, tables, twin

_LONGEST_DAYS = 3650


class Overlap(StrEnum):
    """What to do with rows that are there already."""

    REFUSE = "refuse"
    REPLACE = "replace"
    ADD = "add"


class Target(Session, Protocol):
    """A database that can be filled."""

    def load(self, table: str, pieces: Iterable[bytes]) -> None:
        """Fill a table with data in Native format."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back: rows by table."""

    backup: Backup
    rows: dict[str, int]


def restore(target: Target, backup: Backup, identity: Path | None, overlap: Overlap) -> Restored:
    """Put a backup's rows into a database. Raises UpkeepError; nothing is changed then.

    REPLACE removes what is there, also what came after the backup. ADD leaves it, and has rows twice that are in both.
    """
    key = _key(backup, identity)
    backup.check()
    here = _fitting(target, backup)
    if overlap is Overlap.REFUSE:
        _refuse_overlap(target, here)
    clear(target, "restore")
    with ExitStack() as stack:
        filled = {table: stack.enter_context(twin(target, table, "restore")) for table in here}
        rows = {
            table.name: _fill(target, backup, table.name, beside, key) for table, beside in filled.items()
        }
        for table, beside in filled.items():
            if overlap is Overlap.REPLACE:
                empty(target, table.name)
            attach(target, table.name, beside)
    return Restored(backup, rows)


def verify(backup: Backup, identity: Path | None) -> Restored:
    """Restore a backup into an engine of its own, in a scratch folder, and count. Raises UpkeepError.

    Needs as much disk as the tables in the folder for temporary files (TMPDIR), and a process without an engine.
    """
    key = _key(backup, identity)
    backup.check()
    with tempfile.TemporaryDirectory(prefix="telemetry-verify-") as folder:
        engine = Engine(Path(folder) / "clickhouse")
        try:
            engine.use("scratch")
            migrate(engine, _LONGEST_DAYS)
            scratch = _Scratch(engine)
            rows = {}
            for table in _fitting(scratch, backup):
                with twin(scratch, table, "verify") as beside:
                    rows[table.name] = _fill(scratch, backup, table.name, beside, key)
        finally:
            engine.close()
    return Restored(backup, rows)


class _Scratch:
    """An embedded engine as a target."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.rows = engine.rows
        self.command = engine.command

    def load(self, table: str, pieces: Iterable[bytes]) -> None:
        session = EngineSession(self._engine)
        try:
            session.settle("scratch", {"max_partitions_per_insert_block": "0"}, read_only=False)
            insert = session.insert(partial(from_file, f"INSERT INTO {table}", "Native"))
            for piece in pieces:
                insert.append(piece)
            insert.finish()
        finally:
            session.close()


def _key(backup: Backup, identity: Path | None) -> Any:
    if backup.manifest.recipient is None:
        return None
    if identity is None:
        raise UpkeepError(
            f"Backup {backup.manifest.id} is encrypted to {backup.manifest.recipient}:"
            " name the file with the key to it with --identity."
        )
    key = sealed.private_key(identity)
    if str(key.to_public()) != backup.manifest.recipient:
        raise UpkeepError(
            f"The key in {identity} is not that of backup {backup.manifest.id},"
            f" which is encrypted to {backup.manifest.recipient}."
        )
    return key


def _fitting(target: Target, backup: Backup) -> Sequence[Table]:
    """Give the target's tables that the backup fills, when the target's schema has all that the backup's had."""
    if unknown := [name for name in backup.manifest.migrations if name not in migrations(target)]:
        raise UpkeepError(
            f"Backup {backup.manifest.id} was made by version {backup.manifest.version} with migration {unknown[0]},"
            " which this database does not have: install that version or a newer one, and start it once."
        )
    here = [table for table in tables(target) if table.name in backup.manifest.tables]
    if missing := backup.manifest.tables.keys() - {table.name for table in here}:
        raise UpkeepError(
            f"The database has no table {min(missing)}, which is in backup {backup.manifest.id}:"
            " start the server once, which makes its tables."
        )
    return here


def _refuse_overlap(target: Target, here: Sequence[Table]) -> None:
    there = {table.name: sum(counts(target, table.name).values()) for table in here}
    if rows := sum(there.values()):
        most = max(there, key=lambda name: there[name])
        raise UpkeepError(
            f"The database has {rows} rows already, most of them in {most}. Nothing was changed. Use --force to replace"
            " them with the backup's (they are gone then), or --add to keep both (rows in both are there twice)."
        )


def _fill(target: Target, backup: Backup, table: str, beside: str, key: Any) -> int:
    """Fill a table's twin with its partitions; give the rows. Raises UpkeepError when they are not as many as saved."""
    parts = backup.manifest.tables[table]
    for partition in parts:
        pieces = sealed.read(backup.path / backup.manifest.file(table, partition), key)
        target.load(identifier(beside), pieces)
    there = sum(counts(target, beside).values())
    saved = sum(part.rows for part in parts.values())
    if there != saved:
        raise UpkeepError(
            f"{table} has {saved} rows in backup {backup.manifest.id}, but {there} came out: the backup is not"
            " whole. Use another one."
        )
    return there


def known(directory: Path) -> list[str]:
    """Describe each backup in a line, the newest last."""
    lines = []
    for path in archive.backups(directory):
        try:
            manifest = archive.read(path).manifest
        except UpkeepError as error:
            lines.append(f"{path.name}  {error}")
        else:
            locked = "encrypted" if manifest.recipient else "not encrypted"
            lines.append(f"{path.name}  {manifest.rows} rows in {len(manifest.tables)} tables, {locked}")
    return lines
