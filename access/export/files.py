"""Files of an export: written under a temporary name, synced, and only then renamed; readable by their owner alone.

A file that has its name is whole. What a kill leaves behind has the suffix `.partial`, and is overwritten by the next
attempt.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import orjson

from access.refusal import Code, Refusal

PARTIAL: Final = ".partial"
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """A file of an export. `rows` are those of its table, or the details of a document."""

    name: str
    rows: int
    bytes: int
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        """Return it for a manifest."""
        return {"name": self.name, "rows": self.rows, "bytes": self.bytes, "sha256": self.sha256}


class Target:
    """A file while it is written. Leaving the block without an error gives it its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + PARTIAL)
        self._digest = hashlib.sha256()
        self.bytes = 0
        self.rows = 0
        """To be counted by who writes."""

    def __enter__(self) -> Self:
        with suppress(FileNotFoundError):
            self._partial.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(self._partial, flags, 0o600), "wb", buffering=_PIECE)
        return self

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)
        self._digest.update(data)
        self.bytes += len(data)

    def __exit__(self, kind: object, *_: object) -> None:
        with self._file:
            if kind is not None:
                return
            self._file.flush()
            os.fsync(self._file.fileno())
        self._partial.replace(self._path)
        sync(self._path.parent)

    def file(self) -> File:
        """Return what was written."""
        return File(self._path.name, self.rows, self.bytes, self._digest.hexdigest())


def write(path: Path, document: Any) -> None:
    """Write a small document as JSON, in the same way."""
    with Target(path) as target:
        target.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def is_whole(folder: Path, file: File) -> bool:
    """Whether a file is there, and is what was written."""
    path = folder / file.name
    try:
        if path.stat().st_size != file.bytes:
            return False
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest() == file.sha256
    except FileNotFoundError:
        return False


def make(folder: Path) -> None:
    """Make a folder for its owner alone, and those above it that are missing."""
    if folder.is_dir():
        return
    make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync(folder.parent)


def sync(folder: Path) -> None:
    """Have a folder's entries on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the exports of a name for this process. Raises Refusal when another one writes to them."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(
                Code.BUSY,
                "Another export of this name is being written: wait for it, or choose another name.",
                "name",
                retry_after_seconds=10.0,
            ) from None
        yield
    finally:
        os.close(descriptor)
