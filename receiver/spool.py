"""Blocks on disk: every batch before it is inserted, and for as long as the store does not take it.

How that lies on disk: `receiver.spool_layout`.

A batch becomes visible by the rename of its directory, so after a crash it is there as a whole or not at all. A file
that is written and removed within a moment costs a copy in memory and hardly ever reaches the disk. Only what the
store does not take is synced: files, their directory and the one above, before a client is told.

A kill leaves batches that are open: they are kept and inserted again under the tokens they have. A loss of power may
leave some of an open batch, since it is not synced; no client has been told of it, and its requests are not taken for
known. Everything here is private already: `transform` comes first. Threads may share a spool; a process owns it.
"""

import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from receiver import block_file, manifest, spool_layout
from receiver.block_file import CorruptBlock, Outgoing
from receiver.spool_layout import (
    BATCHES,
    CORRUPT,
    DEAD_LETTERS,
    OPEN,
    REQUESTS,
    RETURNED,
    WRITING,
    block_files,
)

# What is known of each takes a few hundred bytes of memory.
_MOST_BLOCKS = 500_000


class SpoolFull(Exception):  # noqa: N818  what happened, as in Python's own StopIteration
    """The spool holds as many bytes as it may."""


@dataclass(slots=True, eq=False)
class Folder:
    """A batch's directory, and how many of its blocks are left in it."""

    path: Path
    left: int

    @property
    def written_at(self) -> float:
        """When it was written, in seconds of the wall clock."""
        return spool_layout.written_at(self.path.name)


@dataclass(slots=True, eq=False)
class Entry:
    """A block in the spool."""

    folder: Folder
    name: str
    table: str
    records: int
    size: int
    waits: bool = False
    is_gone: bool = False

    @property
    def path(self) -> Path:
        """Where it is now."""
        return self.folder.path / self.name


@dataclass(slots=True)
class Recovered:
    """What a start found: blocks that wait, files set aside, requests whose records are stored or wait."""

    blocks: int = 0
    records: int = 0
    corrupt: int = 0
    requests: list[bytes] = field(default_factory=list)


class Spool:
    """The blocks of one data directory, which the caller holds alone. `open` comes first."""

    def __init__(self, data: Path, bound_bytes: int) -> None:
        self._batches = data / BATCHES
        self._returned = data / RETURNED
        self._corrupt = data / CORRUPT
        self._dead = data / DEAD_LETTERS
        self._bound = bound_bytes
        self._last = 0
        self._waiting: dict[str, deque[Entry]] = {}
        self._waiting_bytes = 0
        self._dead_bytes = 0
        self._unremoved: list[Entry] = []
        self.changed = threading.Condition()
        """Notified when a block begins to wait."""

    def open(self) -> Recovered:
        """Make the directories and take up what an earlier process left. Raises OSError."""
        for path in (self._batches, self._returned, self._corrupt, self._dead):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(path.parent)
        _sync(self._batches.parent.parent)
        self._dead_bytes = sum(size for _, size in block_files(self._dead))
        found = Recovered()
        for path in sorted(path for path in self._batches.iterdir() if path.is_dir()):
            self._last = max(self._last, int(Folder(path, 0).written_at * 1e9))
            self._recover(path, found)
        self.take_returned()
        return found

    # What the path from a request to its acknowledgement does.

    def write(self, blocks: Sequence[Outgoing], requests: Sequence[bytes]) -> list[Entry]:
        """Keep a batch until its blocks are inserted, and return its entries. Not synced. Raises OSError."""
        made = self._new(WRITING)
        folder = Folder(made, len(blocks))
        entries = []
        try:
            for number, block in enumerate(blocks):
                name = spool_layout.block_name(number, block.table)
                size = block_file.write(made / name, block)
                entries.append(Entry(folder, name, block.table, block.records, size))
            manifest.write(made / REQUESTS, requests)
            self._rename(folder, OPEN)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            raise
        return entries

    def seal(self, entries: Sequence[Entry], why: str, *, even_if_full: bool) -> None:
        """Sync what is left of a batch, and let it wait for the store. Raises SpoolFull, OSError."""
        size = sum(entry.size for entry in entries)
        with self.changed:
            if not self.has_room(size, even_if_full=even_if_full):
                raise SpoolFull
            self._waiting_bytes += size
        try:
            self._sync_batch(entries[0].folder, why)
        except OSError:
            with self.changed:
                self._waiting_bytes -= size
            raise
        self._wait(entries)

    def drop(self, entries: Sequence[Entry]) -> None:
        """Forget a batch of which no client has been told."""
        folder = entries[0].folder
        with suppress(OSError):
            # First the name: what is half removed must not be taken up again.
            self._rename(folder, WRITING)
        shutil.rmtree(folder.path, ignore_errors=True)

    def done(self, entry: Entry) -> None:
        """Remove a block that the store has. Raises OSError; then `sweep` removes it."""
        try:
            entry.path.unlink()
        except OSError:
            with self.changed:
                self._unremoved.append(entry)
            raise
        finally:
            self._forget(entry)

    def sweep(self) -> None:
        """Remove the blocks that could not be removed when the store had taken them. Raises OSError.

        A start would insert them again, and the store knows their tokens for a bounded time only.
        """
        while self._unremoved:
            entry = self._unremoved[0]
            entry.path.unlink(missing_ok=True)
            if not entry.folder.left:
                shutil.rmtree(entry.folder.path, ignore_errors=True)
            with self.changed:
                self._unremoved.remove(entry)

    def bury(self, entry: Entry, reason: str) -> None:
        """Move a block that the store refuses to the dead letters, synced. Raises OSError."""
        _sync(entry.path)
        target = self._dead / spool_layout.dead_letter_name(entry.folder.path, entry.name, reason)
        entry.path.rename(target)
        _sync(self._dead)
        with self.changed:
            self._dead_bytes += entry.size
        self._forget(entry)

    # What replay does.

    def oldest(self, table: str) -> Entry | None:
        """Return the block of a table that waits longest."""
        with self.changed:
            waiting = self._waiting.get(table)
            return waiting[0] if waiting else None

    def postpone(self, entry: Entry) -> None:
        """Let the others of its table go first."""
        with self.changed:
            self._waiting[entry.table].rotate(-1)

    def read(self, entry: Entry) -> Outgoing:
        """Read a block that waits, every byte checked. Raises CorruptBlock, OSError."""
        described, data = block_file.read(entry.path)
        return Outgoing(described.table, described.token, described.records, data)

    def set_aside(self, entry: Entry) -> None:
        """Move a file that is corrupt out of the way. Raises OSError; it is forgotten all the same."""
        try:
            entry.path.rename(self._corrupt / spool_layout.set_aside_name(entry.folder.path, entry.name))
        finally:
            self._forget(entry)

    def take_returned(self) -> int:
        """Let dead letters that were returned wait as blocks do, and look what others are there; return how many wait.

        Raises OSError.
        """
        dead = sum(size for _, size in block_files(self._dead))
        with self.changed:
            self._dead_bytes = dead
        paths = [path for path, _ in block_files(self._returned)]
        if not paths:
            return 0
        # Each of them is whole by itself, so a crash half way leaves some here and some there.
        batch = self._new("returned")
        _sync(self._batches)
        for number, path in enumerate(paths):
            path.rename(batch / spool_layout.block_name(number, spool_layout.table_of(path.name)))
        _sync(batch)
        found = Recovered()
        self._recover(batch, found)
        return found.blocks

    # What there is.

    def has_room(self, size: int, *, even_if_full: bool = False) -> bool:
        """Whether so many bytes more may wait; a quarter over the bound for what must not be given back."""
        with self.changed:
            bound = self._bound + (self._bound // 4 if even_if_full else 0)
            return self.bytes + size <= bound and sum(map(len, self._waiting.values())) < _MOST_BLOCKS

    def could_take(self, size: int) -> bool:
        """Whether a batch of this size could be written, synced and kept now, by writing as much and removing it."""
        if not self.has_room(size):
            return False
        try:
            folder = self._new(WRITING)
            try:
                path = folder / "probe"
                path.write_bytes(bytes(size))
                _sync(path)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            return False
        return True

    def tables(self) -> list[str]:
        """Name the tables for which a block waits."""
        with self.changed:
            return [table for table, waiting in self._waiting.items() if waiting]

    def count(self, table: str) -> int:
        """Count the blocks that wait for a table."""
        with self.changed:
            return len(self._waiting.get(table, ()))

    def age_seconds(self, table: str) -> float:
        """Return how long the oldest block of a table has waited, 0 if none does."""
        oldest = self.oldest(table)
        return max(0.0, time.time() - oldest.folder.written_at) if oldest else 0.0

    @property
    def bytes(self) -> int:
        """The bytes of blocks that wait and of dead letters: what the bound holds for."""
        return self._waiting_bytes + self._dead_bytes

    def _recover(self, path: Path, found: Recovered) -> None:
        """Take up one directory of an earlier process."""
        state = spool_layout.state_of(path)
        if state == WRITING:
            shutil.rmtree(path, ignore_errors=True)
            return
        corrupt = found.corrupt
        folder = Folder(path, 0)
        entries = []
        for file, size in block_files(path):
            try:
                described = block_file.read(file)[0] if state == OPEN else block_file.describe(file)
            except CorruptBlock:
                found.corrupt += 1
                file.rename(self._corrupt / spool_layout.set_aside_name(path, file.name))
            else:
                entries.append(Entry(folder, file.name, described.table, described.records, size))
        if found.corrupt == corrupt:
            found.requests += manifest.read(path / REQUESTS, is_synced=state != OPEN)
        folder.left = len(entries)
        if not entries:
            shutil.rmtree(path, ignore_errors=True)
            return
        found.blocks += len(entries)
        found.records += sum(entry.records for entry in entries)
        if state == OPEN:
            self._sync_batch(folder, "restart")
        with self.changed:
            self._waiting_bytes += sum(entry.size for entry in entries)
        self._wait(entries)

    def _wait(self, entries: Sequence[Entry]) -> None:
        with self.changed:
            for entry in entries:
                entry.waits = True
                self._waiting.setdefault(entry.table, deque()).append(entry)
            self.changed.notify_all()

    def _forget(self, entry: Entry) -> None:
        with self.changed:
            if entry.waits:
                self._waiting[entry.table].remove(entry)
                self._waiting_bytes -= entry.size
                entry.waits = False
            entry.is_gone = True
            entry.folder.left -= 1
            is_last = entry.folder.left == 0
        if is_last:
            shutil.rmtree(entry.folder.path, ignore_errors=True)

    def _sync_batch(self, folder: Folder, why: str) -> None:
        for path in folder.path.iterdir():
            _sync(path)
        _sync(folder.path)
        self._rename(folder, why)
        _sync(self._batches)

    def _new(self, state: str) -> Path:
        with self.changed:
            # Names sort by age, whatever the clock does.
            self._last = max(time.time_ns(), self._last + 1)
            path = self._batches / spool_layout.batch_name(self._last, state)
        path.mkdir(mode=0o700)
        return path

    @staticmethod
    def _rename(folder: Folder, state: str) -> None:
        folder.path = folder.path.rename(spool_layout.in_state(folder.path, state))


def _sync(path: Path) -> None:
    """Bring a file, or a directory's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
