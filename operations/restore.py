"""Puts a backup back, into a running server or into a scratch engine that proves it readable.

A restore first compares every file's checksum, then checks that this version knows the backup's schema, then that there
are no rows to overwrite. It fills all tables beside the real ones and counts their rows. Only then does it put each
table in place, in one step a table. A failure before that leaves the database as it was. The state comes last; it is
unpacked and brought to this version before anything is changed.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from clickhouse.database import LoadableDatabase
from clickhouse.engine import Engine
from clickhouse.migrations import migrate
from clickhouse.quoting import identifier
from operations import archive, partition_file
from operations.archive import Backup
from operations.errors import OperationError
from operations.state_file import Outcome, StateFile
from operations.tables import Table, attach, clear, counts, empty, migrations, tables, twin

_LONGEST_DAYS = 3650


class Overlap(StrEnum):
    """The treatment of rows that the database has already."""

    REFUSE = "refuse"
    REPLACE = "replace"
    ADD = "add"


@dataclass(frozen=True, slots=True)
class Restored:
    """The rows that were restored, by table, and what became of the state."""

    backup: Backup
    rows: dict[str, int]
    state: Outcome = Outcome.ABSENT


def restore(
    target: LoadableDatabase,
    backup: Backup,
    identity: Path | None,
    overlap: Overlap,
    state: StateFile | None = None,
) -> Restored:
    """Put a backup's rows into a database, and its state in place. Raises OperationError, and then changes nothing.

    REPLACE removes the rows that are there, also those newer than the backup, and the state. ADD keeps them; rows that
    are in both are then stored twice. Connections that are there stay without REPLACE.
    """
    key = _key(backup, identity)
    backup.check()
    here = _fitting(target, backup)
    if overlap is Overlap.REFUSE:
        _refuse_overlap(target, here)
    clear(target, "restore")
    with ExitStack() as stack:
        copy = stack.enter_context(_state(backup, key, state))
        filled = {table: stack.enter_context(twin(target, table, "restore")) for table in here}
        rows = {
            table.name: _fill(target, backup, table.name, beside, key) for table, beside in filled.items()
        }
        for table, beside in filled.items():
            if overlap is Overlap.REPLACE:
                empty(target, table.name)
            attach(target, table.name, beside)
        if state is None or copy is None:
            return Restored(backup, rows)
        return Restored(backup, rows, state.put(copy, replaces=overlap is Overlap.REPLACE))


def verify(backup: Backup, identity: Path | None, state: StateFile | None = None) -> Restored:
    """Restore a backup into an engine of its own, in a scratch folder, and count. Raises OperationError.

    Its state is unpacked and opened.

    Needs as much disk as the tables in the folder for temporary files (TMPDIR), and a process without an engine.
    """
    key = _key(backup, identity)
    backup.check()
    with _state(backup, key, state), tempfile.TemporaryDirectory(prefix="telemetry-verify-") as folder:
        engine = Engine(Path(folder) / "clickhouse")
        try:
            engine.use("scratch")
            migrate(engine, _LONGEST_DAYS)
            rows = {}
            for table in _fitting(engine, backup):
                with twin(engine, table, "verify") as beside:
                    rows[table.name] = _fill(engine, backup, table.name, beside, key)
        finally:
            engine.close()
    return Restored(backup, rows)


def _key(backup: Backup, identity: Path | None) -> Any:
    if backup.manifest.recipient is None:
        return None
    if identity is None:
        raise OperationError(
            f"Backup {backup.manifest.id} is encrypted to {backup.manifest.recipient}:"
            " name the file with the key to it with --identity."
        )
    key = partition_file.private_key(identity)
    if str(key.to_public()) != backup.manifest.recipient:
        raise OperationError(
            f"The key in {identity} is not that of backup {backup.manifest.id},"
            f" which is encrypted to {backup.manifest.recipient}."
        )
    return key


@contextmanager
def _state(backup: Backup, key: Any, state: StateFile | None) -> Iterator[Path | None]:
    """Yield the backup's state unpacked, None where it has none or none is wanted."""
    if state is None or not backup.manifest.has_state:
        yield None
        return
    with state.unpacked(backup.path / backup.manifest.state, key) as copy:
        yield copy


def _fitting(target: LoadableDatabase, backup: Backup) -> Sequence[Table]:
    """Return the target's tables that the backup fills. Raises OperationError when the target's schema lacks one."""
    if unknown := [name for name in backup.manifest.migrations if name not in migrations(target)]:
        raise OperationError(
            f"Backup {backup.manifest.id} was made by version {backup.manifest.version} with migration {unknown[0]},"
            " which this database does not have: install that version or a newer one, and start it once."
        )
    here = [table for table in tables(target) if table.name in backup.manifest.tables]
    if missing := backup.manifest.tables.keys() - {table.name for table in here}:
        raise OperationError(
            f"The database has no table {min(missing)}, which is in backup {backup.manifest.id}:"
            " start the server once, which makes its tables."
        )
    return here


def _refuse_overlap(target: LoadableDatabase, here: Sequence[Table]) -> None:
    there = {table.name: sum(counts(target, table.name).values()) for table in here}
    if rows := sum(there.values()):
        most = max(there, key=lambda name: there[name])
        raise OperationError(
            f"The database has {rows} rows already, most of them in {most}. Nothing was changed. Use --force to replace"
            " them with the backup's (they are gone then), or --add to keep both (rows in both are there twice)."
        )


def _fill(target: LoadableDatabase, backup: Backup, table: str, beside: str, key: Any) -> int:
    """Fill a table's twin with its partitions, and return their rows. Raises OperationError when some are missing."""
    parts = backup.manifest.tables[table]
    for partition in parts:
        pieces = partition_file.read(backup.path / backup.manifest.file(table, partition), key)
        target.load(identifier(beside), pieces)
    there = sum(counts(target, beside).values())
    saved = sum(part.rows for part in parts.values())
    if there != saved:
        raise OperationError(
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
        except OperationError as error:
            lines.append(f"{path.name}  {error}")
        else:
            locked = "encrypted" if manifest.recipient else "not encrypted"
            lines.append(f"{path.name}  {manifest.rows} rows in {len(manifest.tables)} tables, {locked}")
    return lines
