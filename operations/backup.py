"""Backs up the telemetry tables of a running server, embedded or not, over its ClickHouse interface.

Each table is cut in one instant, while inserts go on: everything acknowledged before is in the backup. Then the cuts
are read out, partition by partition; those unchanged since the backup before are linked.

The state of connections and questions is copied too, where it is a file. A backup holds no settings, no secrets
(`.env`, `credentials.env`, `secret.key`), and no blocks that wait in the spool.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from clickhouse.client import Client
from clickhouse.quoting import identifier
from operations import archive
from operations.archive import Backup, Manifest, Partition
from operations.errors import OperationError
from operations.partition_file import public_key, write
from operations.state_file import StateFile
from operations.tables import attach, clear, counts, fingerprints, migrations, tables, twin


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made, and its figures."""

    backup: Backup
    written: int
    """Partitions read out; the others are links."""
    size: int
    """Bytes of their files."""
    base: str | None
    """The backup to which the links lead."""
    removed: list[str]


def back_up(
    client: Client,
    directory: Path,
    *,
    keep: int,
    recipient: str | None,
    full: bool,
    state: StateFile | None = None,
) -> Made:
    """Make a backup in a folder of `directory`, and keep the newest `keep`. Raises OperationError, ClientError.

    `full` reads out every partition. `recipient` is a public key of age to encrypt to.
    """
    if recipient:
        public_key(recipient)
    with archive.held(directory):
        base = None if full else _base(directory, client.endpoint.database, recipient)
        made = _unused_id(directory)
        with archive.unfinished(directory, made) as folder:
            begun = archive.create(
                version("claude-code-telemetry"),
                client.endpoint.database,
                migrations(client),
                recipient,
                made,
            )
            manifest, sums, written, size = _save(client, folder, begun, base)
            saved = state.save(folder / manifest.state, recipient) if state is not None else None
            if saved is not None:
                manifest = replace(manifest, has_state=True)
                sums[manifest.state] = saved.sha256
            backup = archive.finish(folder, manifest, sums)
        removed = archive.rotate(directory, keep)
        return Made(backup, written, size, base.manifest.id if base else None, removed)


def _base(directory: Path, database: str, recipient: str | None) -> Backup | None:
    """Return the newest backup whose files this one could link to."""
    for path in reversed(archive.backups(directory)):
        try:
            found = archive.read(path)
        except OperationError:
            continue
        if (found.manifest.database, found.manifest.recipient) == (database, recipient):
            return found
    return None


def _save(
    client: Client, folder: Path, begun: Manifest, base: Backup | None
) -> tuple[Manifest, dict[str, str], int, int]:
    clear(client, "backup")
    # Before the cuts: a partition that changes in between looks changed to the next backup, which reads it out again.
    prints = fingerprints(client)
    saved: dict[str, dict[str, Partition]] = {}
    sums: dict[str, str] = {}
    written = size = 0
    with ExitStack() as stack:
        cuts = {}
        for table in tables(client):
            saved[table.name] = {}
            now = prints.get(table.name, {})
            if any(not _unchanged(base, table.name, partition, text) for partition, text in now.items()):
                cuts[table.name] = stack.enter_context(twin(client, table, "backup"))
            elif base:
                saved[table.name] = {part: base.manifest.tables[table.name][part] for part in now}
        for table_name, cut in cuts.items():
            attach(client, cut, table_name)
        for table_name, cut in cuts.items():
            for partition, rows in counts(client, cut).items():
                text = prints.get(table_name, {}).get(partition, "")
                old = _unchanged(base, table_name, partition, text)
                saved[table_name][partition] = old or Partition(rows, text)
                if old is None:
                    sql = f"SELECT * FROM {identifier(cut)} WHERE _partition_id = {{partition:String}}"  # noqa: S608
                    path = folder / begun.file(table_name, partition)
                    path.parent.mkdir(exist_ok=True)
                    done = write(path, client.stream(sql, {"partition": partition}), begun.recipient)
                    sums[begun.file(table_name, partition)] = done.sha256
                    written += 1
                    size += done.size
    manifest = replace(begun, tables=saved)
    if base:
        for file in [file for file in manifest.files() if file not in sums]:
            (folder / file).parent.mkdir(exist_ok=True)
            archive.link(base.path / file, folder / file)
            sums[file] = base.sums[file]
    return manifest, sums, written, size


def _unchanged(base: Backup | None, table: str, partition: str, fingerprint: str) -> Partition | None:
    """Return a partition as the backup before has it, if its rows are still the same."""
    old = base.manifest.tables.get(table, {}).get(partition) if base else None
    return old if old and fingerprint and old.fingerprint == fingerprint else None


def _unused_id(directory: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> str:
    """Name a backup for this second; with a number behind it when there is one already."""
    name = now().strftime("%Y%m%dT%H%M%SZ")
    taken = {path.name for path in archive.backups(directory)}
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)
