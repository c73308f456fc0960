"""One block in one file: a line with a checksum, a line that describes the block, and its Native bytes.

    telemetry block 1 <checksum of the next line>
    {"table": …, "token": …, "records": …, "bytes": …, "checksum": <of the bytes>}
    <the bytes>

A file that was cut, or in which a bit has changed, is told from a whole one; the checksums are XXH3 of 128 bits, in
hex. What a client sent stands in the bytes alone, made private before it came here.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson
import xxhash

from clickhouse.pieces import Pieces

_MAGIC = b"telemetry block 1 "
_MAX_LINE = 1024


class CorruptBlock(Exception):  # noqa: N818  what happened, as in Python's own StopIteration
    """The file is not what was written. The text says what is wrong with it, and nothing of its content."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A block on its way to a table: rows in Native format, and the token that makes repeats harmless."""

    table: str
    token: str
    records: int
    data: Pieces


@dataclass(frozen=True, slots=True)
class Description:
    """What a file says of its block."""

    table: str
    token: str
    records: int
    bytes: int
    checksum: str


def write(path: Path, block: Outgoing) -> int:
    """Write a new file, for its owner alone; not synced. Return its size. Raises OSError."""
    described = orjson.dumps(
        {
            "table": block.table,
            "token": block.token,
            "records": block.records,
            "bytes": len(block.data),
            "checksum": checksum(block.data),
        }
    )
    head = b"%s%s\n%s\n" % (_MAGIC, checksum([described]).encode(), described)
    with create(path) as file:
        file.write(head)
        file.writelines(block.data)
    return len(head) + len(block.data)


def create(path: Path) -> BinaryIO:
    """Open a new file for writing, for its owner alone. Raises OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def describe(path: Path) -> Description:
    """Read what a file says of itself, and look whether it is as long as it says. Raises CorruptBlock, OSError."""
    with path.open("rb") as file:
        return _describe(file)


def read(path: Path) -> tuple[Description, Pieces]:
    """Read a file and check every byte. Raises CorruptBlock, OSError."""
    with path.open("rb") as file:
        described = _describe(file)
        data = Pieces([file.read()])
    if checksum(data) != described.checksum:
        raise CorruptBlock("its content has changed")
    return described, data


def checksum(pieces: Iterable[bytes | memoryview]) -> str:
    """Return the checksum of bytes in one or several pieces."""
    hashed = xxhash.xxh3_128()
    for piece in pieces:
        hashed.update(piece)
    return hashed.hexdigest()


def _describe(file: BinaryIO) -> Description:
    first, second = file.readline(_MAX_LINE), file.readline(_MAX_LINE)
    if not first.startswith(_MAGIC) or not second.endswith(b"\n"):
        raise CorruptBlock("it does not begin as a block does")
    if first[len(_MAGIC) : -1].decode("ascii", "replace") != checksum([second[:-1]]):
        raise CorruptBlock("its description has changed")
    described = Description(**orjson.loads(second))
    if os.fstat(file.fileno()).st_size != len(first) + len(second) + described.bytes:
        raise CorruptBlock("it is not as long as it says")
    return described
