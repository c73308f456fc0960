"""Hashes of records that were stored, so that one that arrives again in another request is known: the newest ones.

They are kept in two generations of a bounded size and age: one that is full or old takes the place of the older. A
file for each is appended to and not synced: it survives a kill, not a loss of power, after which it may name records
that were lost with it. So it begins with the machine's boot id, and is not read when that differs.
"""

import os
import time
from array import array
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class KnownRecords:
    """The hashes of the last `seconds`, up to twice as long, and up to twice `most`; in `path` and `path`.old.

    In memory alone when there is no path. Used by one thread at a time. Raises OSError.
    """

    def __init__(self, path: Path | None, most: int, seconds: float) -> None:
        self._path = path
        self._most = most
        self._seconds = seconds
        self._began = time.monotonic()
        self._newer: set[int] = set()
        self._older: set[int] = set()
        self._descriptor: int | None = None
        if path is not None:
            self._older = _read(_old(path), seconds)
            self._newer = _read(path, seconds)
            self._descriptor = _begun(path, self._newer)

    def forget_old(self) -> None:
        """Forget what was stored too long ago. Raises OSError."""
        age = time.monotonic() - self._began
        if age > self._seconds:
            self._begin_another()
            if age > 2 * self._seconds:
                self._older = set()

    def __contains__(self, record: int) -> bool:
        """Whether a record is known by its hash."""
        return record in self._newer or record in self._older

    def isdisjoint(self, records: AbstractSet[int]) -> bool:
        """Whether none of these records is known."""
        return self._newer.isdisjoint(records) and self._older.isdisjoint(records)

    def add(self, records: AbstractSet[int]) -> None:
        """Remember records. Raises OSError; they are known all the same, until the end of the process."""
        if len(self._newer) + len(records) > self._most:
            self._begin_another()
        self._newer.update(records)
        if self._descriptor is not None:
            os.write(self._descriptor, array("Q", records).tobytes())

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _begin_another(self) -> None:
        self._older, self._newer = self._newer, set()
        self._began = time.monotonic()
        if self._descriptor is not None and self._path is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._path.replace(_old(self._path))
            self._descriptor = _begun(self._path, set())


def _old(path: Path) -> Path:
    return path.with_name(f"{path.name}.old")


def _read(path: Path, seconds: float) -> set[int]:
    """Return the hashes of a file that was written to lately, and since the machine started."""
    try:
        data = path.read_bytes()
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return set()
    if age > seconds:
        return set()
    head = _BOOT_ID.read_bytes()
    if not data.startswith(head):
        return set()
    known = array("Q")
    known.frombytes(data[len(head) : len(data) - (len(data) - len(head)) % known.itemsize])
    return set(known)


def _begun(path: Path, known: AbstractSet[int]) -> int:
    """Write a file of these hashes, and return it open to append to."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(_BOOT_ID.read_bytes() + array("Q", known).tobytes())
    new.replace(path)
    return descriptor
