"""Backups on disk: one folder each, complete on its own, and named only when it is whole.

    backups/20261124T081500Z/
        manifest.json                    the backup's contents, and its version
        SHA256SUMS                       of every file in it; `sha256sum -c SHA256SUMS` checks it without this program
        otel_logs/20261124.native.zst    a table's partition (.age behind it when encrypted)
        state.db.zst                     connections and questions, where they are in a file (.age behind it too)

A partition that has not changed since the backup before is a hard link to the same file (a copy where links cannot be
made), so any folder can be removed without harm to the others.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson
from pydantic import TypeAdapter, ValidationError

from config.closing import close_to_others
from operations.errors import OperationError
from operations.partition_file import digest

MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
_FORMAT: Final = 1
_ID: Final = re.compile(r"\d{8}T\d{6}Z(?:-\d+)?")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_PARTIAL: Final = ".partial"
_MOST_LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition as it was saved. Equal fingerprints mean equal rows, within one database."""

    rows: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The contents of a backup."""

    format: int
    id: str
    version: str
    """The version of the program that made it."""
    database: str
    migrations: list[str]
    recipient: str | None
    """The public key that it is encrypted to."""
    tables: Mapping[str, Mapping[str, Partition]]
    """Partitions by their id, by table."""
    has_state: bool = False

    @property
    def state(self) -> str:
        """The file of the state, relative to the backup's folder."""
        return "state.db.zst" + (".age" if self.recipient else "")

    @property
    def rows(self) -> int:
        """Count the rows of all tables."""
        return sum(part.rows for parts in self.tables.values() for part in parts.values())

    def file(self, table: str, partition: str) -> str:
        """Return a partition's file, relative to the backup's folder."""
        return f"{table}/{partition}.native.zst" + (".age" if self.recipient else "")

    def files(self) -> list[str]:
        """Return every partition's file."""
        return [self.file(table, partition) for table, parts in self.tables.items() for partition in parts]


@dataclass(frozen=True, slots=True)
class Backup:
    """A complete backup, with the SHA-256 of each of its files."""

    path: Path
    manifest: Manifest
    sums: Mapping[str, str]

    def check(self) -> None:
        """Compare every file with its checksum. Raises OperationError that lists those that differ."""
        problems = []
        state = [self.manifest.state] if self.manifest.has_state else []
        for name in [MANIFEST, *self.manifest.files(), *state]:
            path = self.path / name
            if not path.is_file():
                problems.append(f"{name} is missing")
            elif digest(path) != self.sums.get(name):
                problems.append(f"{name} is not what was written")
        if problems:
            shown = "; ".join(problems[:_MOST_LISTED])
            if len(problems) > _MOST_LISTED:
                shown += f"; and {len(problems) - _MOST_LISTED} more"
            raise OperationError(
                f"Backup {self.path} is damaged: {shown}. Use another backup, or a copy of this one."
            )


def create(version: str, database: str, migrations: list[str], recipient: str | None, made: str) -> Manifest:
    """Begin the manifest of a backup made at a time such as `20261124T081500Z`."""
    return Manifest(_FORMAT, made, version, database, migrations, recipient, {})


def backups(directory: Path) -> list[Path]:
    """Return the folders of all complete backups, the oldest first."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if _ID.fullmatch(path.name) and path.is_dir())


def find(directory: Path, name: str) -> Backup:
    """Read the backup of this name, or the newest for `latest`. Raises OperationError."""
    made = backups(directory)
    if not made:
        raise OperationError(
            f"There is no backup in {directory.resolve()}: name the folder that holds them with --from."
        )
    if name == "latest":
        return read(made[-1])
    if found := next((path for path in made if path.name == name), None):
        return read(found)
    raise OperationError(f"There is no backup {name}; the newest is {made[-1].name}, and --list shows all.")


def read(path: Path) -> Backup:
    """Read a backup's manifest and checksums. Raises OperationError."""
    try:
        manifest = TypeAdapter(Manifest).validate_json((path / MANIFEST).read_bytes())
        lines = (path / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, ValidationError, UnicodeDecodeError):
        raise OperationError(f"Backup {path} is damaged: its {MANIFEST} or {SUMS} cannot be read.") from None
    if manifest.format != _FORMAT:
        raise OperationError(
            f"Backup {path} is of a format that this version does not know: install a newer one."
        )
    # They become paths and statements, and a backup may come from anywhere.
    names = [*manifest.tables, *(part for parts in manifest.tables.values() for part in parts)]
    if not all(_NAME.fullmatch(name) for name in names):
        raise OperationError(
            f"Backup {path} is damaged: its {MANIFEST} names impossible tables or partitions."
        )
    pairs = (line.partition("  ") for line in lines)
    return Backup(path, manifest, {name: sha256 for sha256, _, name in pairs})


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Make the folder of backups, for this user alone, and lock it against a second process. Raises OperationError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _holds_backups_alone(directory):
            close_to_others(directory, "The folder of backups")
        descriptor = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise OperationError(
            f"The folder {directory} cannot be used ({error.strerror}): name a writable one with --to or"
            " TELEMETRY_BACKUP_DIR."
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise OperationError(
            f"Another backup into {directory} is under way: wait until it is done."
        ) from None
    finally:
        with suppress(OSError):
            os.close(descriptor)


def _holds_backups_alone(directory: Path) -> bool:
    """Whether a folder is for backups alone; another may have other readers, and is left as it is."""
    return all(path.name == "lock" or _ID.match(path.name) for path in directory.iterdir())


@contextmanager
def unfinished(directory: Path, made: str) -> Iterator[Path]:
    """Yield the folder of a backup that is being made; it is removed unless `finish` has named it."""
    for left in directory.glob(f"*{_PARTIAL}"):  # by a process that was killed
        shutil.rmtree(left)
    path = directory / f"{made}{_PARTIAL}"
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def finish(path: Path, manifest: Manifest, sums: Mapping[str, str]) -> Backup:
    """Write the manifest and the checksums, name the folder, and return when all of it is on disk."""
    text = orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    _write(path / MANIFEST, text)
    sums = {**sums, MANIFEST: digest(path / MANIFEST)}
    _write(path / SUMS, "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(sums.items())).encode())
    for folder in [*(path / table for table in manifest.tables), path]:
        if folder.is_dir():
            _sync(folder)
    done = path.with_name(path.name.removesuffix(_PARTIAL))
    path.rename(done)
    _sync(done.parent)
    return Backup(done, manifest, sums)


def link(source: Path, target: Path) -> None:
    """Put the same file at another place too: linked, or copied where the file system cannot link."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def rotate(directory: Path, keep: int) -> list[str]:
    """Remove all backups but the newest `keep`; return the names of those removed."""
    old = backups(directory)[:-keep]
    for path in old:
        # It loses its name first, so that a half removed folder is no backup.
        gone = path.with_name(f"{path.name}{_PARTIAL}")
        path.rename(gone)
        shutil.rmtree(gone)
    return [path.name for path in old]


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
