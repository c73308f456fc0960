"""How the spool lies on disk: its folders, the names of its files, and what they say. Nothing else knows.

    spool/batches/<time>-<random>.tmp/       being written or removed: no client has been promised anything
    spool/batches/<time>-<random>.open/      written, not synced: its blocks are being inserted
    spool/batches/<time>-<random>.<why>/     synced: its clients have been told that it is stored; waits for the store
        00.otel_traces.block …               one file a block, removed when the store has it
        requests                             which requests the batch is made of, so that resent ones are known again
    spool/returned/                          dead letters to be tried again
    spool/corrupt/                           files that are not what was written; never replayed
    dead-letter/                             blocks that the store refused for good, with the reason in the name

A file outside its batch has the batch's name before its own: `<time>-<random>.00.otel_traces.<reason>.block`. Looking
at all this is safe while a server works there: what moves away meanwhile is left out.
"""

import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from receiver import block_file
from receiver.block_file import CorruptBlock

BATCHES: Final = "spool/batches"
RETURNED: Final = "spool/returned"
CORRUPT: Final = "spool/corrupt"
DEAD_LETTERS: Final = "dead-letter"
FOLDERS: Final = (BATCHES, RETURNED, CORRUPT, DEAD_LETTERS)
REQUESTS: Final = "requests"
WRITING, OPEN = "tmp", "open"
"""States of a batch that does not wait yet."""
_BLOCK: Final = ".block"


class State(StrEnum):
    """Where a block is on its way."""

    IN_WORK = "in work"
    WAITING = "waiting"
    DEAD_LETTER = "dead letter"
    SET_ASIDE = "set aside"


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block file, as its name and its first lines describe it."""

    state: State
    table: str
    reason: str
    """Why it is not in the store; empty while it is in work."""
    records: int
    """0 when it is set aside, since what a damaged file says is not believed."""
    size: int
    """Bytes of the file."""
    written_at: float
    """Seconds of the wall clock."""


def batch_name(nanoseconds: int, state: str) -> str:
    """Name a batch that is written at a time; names sort by it."""
    return f"{nanoseconds:019d}-{secrets.token_hex(4)}.{_word(state)}"


def in_state(batch: Path, state: str) -> Path:
    """Return a batch's path in another state, or for the reason that it waits for."""
    return batch.with_suffix(f".{_word(state)}")


def state_of(batch: Path) -> str:
    """Return a batch's state, or the reason that it waits for."""
    return batch.suffix.removeprefix(".")


def block_name(number: int, table: str) -> str:
    """Name a block in its batch."""
    return f"{number:02d}.{table}{_BLOCK}"


def dead_letter_name(batch: Path, block: str, reason: str) -> str:
    """Name a block that leaves its batch for the dead letters."""
    return f"{batch.stem}.{block.removesuffix(_BLOCK)}.{reason}{_BLOCK}"


def set_aside_name(batch: Path, block: str) -> str:
    """Name a block that leaves its batch since it is damaged."""
    return f"{batch.stem}.{block}"


def table_of(name: str) -> str:
    """Return the table that a block's name names, in its batch or outside."""
    first, second, third, *_ = name.split(".")
    return third if "-" in first else second


def written_at(name: str) -> float:
    """Return when a batch was written, by its name or that of a block of it, in seconds; now for a foreign name."""
    number = name.partition("-")[0]
    return int(number) / 1e9 if number.isdigit() else time.time()


def block_files(folder: Path) -> list[tuple[Path, int]]:
    """List the block files right in a folder with their sizes, by name. Raises OSError."""
    with os.scandir(folder) as entries:
        found = [(Path(entry.path), entry.stat().st_size) for entry in entries if entry.name.endswith(_BLOCK)]
    return sorted(found)


def stored_blocks(data: Path) -> Iterator[StoredBlock]:
    """Describe every block in the spool and the dead letters of a data directory."""
    for state, reason, path, batch in _files(data):
        try:
            size = path.stat().st_size
            records = 0 if state is State.SET_ASIDE else block_file.describe(path).records
        except (OSError, CorruptBlock):
            continue  # it has just been inserted, or will be set aside
        yield StoredBlock(state, table_of(path.name), reason, records, size, written_at(batch))


def return_dead_letters(data: Path) -> int:
    """Move all dead letters to where they are tried again, and return how many. Raises OSError."""
    letters = sorted((data / DEAD_LETTERS).glob(f"*{_BLOCK}"))
    for letter in letters:
        letter.rename(data / RETURNED / letter.name)
    return len(letters)


def count_files(data: Path, *folders: str) -> int:
    """Count what may hold a block's rows in some of FOLDERS, at any depth, also what is being written."""
    return sum(
        1
        for folder in folders
        for path in (data / folder).rglob("*")
        if path.is_file() and _BLOCK.removeprefix(".") in path.name
    )


def _files(data: Path) -> Iterator[tuple[State, str, Path, str]]:
    """Yield every block file's state, reason, path, and a name that begins with its batch's."""
    for path in (data / BATCHES).glob(f"*/*{_BLOCK}"):
        match state_of(path.parent):
            case "open":
                yield State.IN_WORK, "", path, path.parent.name
            case "tmp":
                continue
            case reason:
                yield State.WAITING, reason, path, path.parent.name
    for path in (data / RETURNED).glob(f"*{_BLOCK}"):
        yield State.WAITING, "returned", path, path.name
    for path in (data / DEAD_LETTERS).glob(f"*{_BLOCK}"):
        yield State.DEAD_LETTER, path.name.split(".")[-2], path, path.name
    for path in (data / CORRUPT).glob(f"*{_BLOCK}"):
        yield State.SET_ASIDE, "corrupt", path, path.name


def _word(state: str) -> str:
    return re.sub(r"\W", "_", state)
