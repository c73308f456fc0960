"""Repairs the damage that a kill or a loss of power can leave in the engine's tables, before they are opened.

A MergeTree table writes the token of an insert into `deduplication_logs` and only then gives the insert's part its
name. A kill between the two leaves a token without rows. The insert is then repeated under that token and taken for a
duplicate, so its rows would be lost. This module forgets such tokens with the record that the engine itself uses to
forget one.

    <operation: 1 add, 2 drop> <part> <token's hash>      one line a part, the newest last

A log is not fsynced, so a loss of power can cut its last line. The engine stops reading a log at the first line that it
cannot read, and writes its next record behind a cut one: every later token would be unknown. Such lines are taken out.
A log of which no whole line can be read is of another format, and is left alone.

Source: https://github.com/ClickHouse/ClickHouse/blob/master/src/Storages/MergeTree/MergeTreeDeduplicationLog.cpp
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

# More than can be under way when a process is killed.
_NEWEST: Final = 256
_PART: Final = re.compile(r"(?P<partition>.+)_(?P<first>\d+)_(?P<last>\d+)_\d+(?:_\d+)?")
_LOG: Final = re.compile(r"deduplication_log_(\d+)\.txt")
_RECORD: Final = re.compile(r"(?P<operation>[12])\t(?P<part>[^\t]+)\t(?P<token>[^\t]+)")
_ADD, _DROP = "1", "2"


class _Part(NamedTuple):
    partition: str
    first: int
    last: int

    @classmethod
    def of(cls, name: str) -> "_Part | None":
        found = _PART.fullmatch(name)
        return cls(found["partition"], int(found["first"]), int(found["last"])) if found else None

    def covers(self, other: "_Part") -> bool:
        return self.partition == other.partition and self.first <= other.first and self.last >= other.last


class _Record(NamedTuple):
    operation: str
    part: str
    token: str

    @classmethod
    def of(cls, line: bytes) -> "_Record | None":
        try:
            found = _RECORD.fullmatch(line.decode())
        except UnicodeDecodeError:
            return None
        return cls(*found.groups()) if found else None


@dataclass(frozen=True, slots=True)
class Repaired:
    """The repairs, in all tables."""

    tokens: int = 0
    """Tokens without rows that were forgotten."""
    lines: int = 0
    """Lines that could not be read and were taken out."""
    unknown: int = 0
    """Logs of another format, which were left alone."""


def repair(data: Path) -> Repaired:
    """Forget the newest tokens whose parts do not exist, in every table below, and take out damaged lines.

    Nothing may have the tables open. Raises OSError.
    """
    done = [
        _repair(logs, data / "deduplication_log.tmp") for logs in data.glob("store/*/*/deduplication_logs")
    ]
    return Repaired(
        sum(one.tokens for one in done), sum(one.lines for one in done), sum(one.unknown for one in done)
    )


def _repair(logs: Path, scratch: Path) -> Repaired:
    numbered = {int(found[1]): path for path in logs.iterdir() if (found := _LOG.fullmatch(path.name))}
    files = [numbered[number] for number in sorted(numbered)[-2:]]
    read = [_read(path) for path in files]
    unknown = sum(one is None for one in read)
    # A log of another format may hold records about the tokens of its neighbour.
    if not files or unknown:
        return Repaired(unknown=unknown)
    known = [one for one in read if one is not None]
    parts = [part for path in logs.parent.iterdir() if (part := _Part.of(path.name))]
    records = [record for one, _ in known for record in one]
    unused = [_Record(_DROP, name, token) for name, token in _unused(records[-_NEWEST:], parts)]
    for path, (kept, damaged) in zip(files, known, strict=True):
        more = unused if path == files[-1] else []
        if damaged or more:
            _write(path, [*kept, *more], scratch)
    return Repaired(len(unused), sum(damaged for _, damaged in known))


def _read(path: Path) -> tuple[list[_Record], int] | None:
    """Return a log's records and the number of damaged lines; None when it has whole lines and none is a record."""
    *lines, last = path.read_bytes().split(b"\n")
    records = [record for line in lines if (record := _Record.of(line))]
    if any(lines) and not records:
        return None
    # A last line without its end may be cut in the middle of its token.
    return records, len(lines) - len(records) + bool(last)


def _write(path: Path, records: list[_Record], scratch: Path) -> None:
    """Replace a log as a whole; the scratch file is in a directory where the engine looks for no logs."""
    with scratch.open("wb") as file:
        file.writelines("\t".join(record).encode() + b"\n" for record in records)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def _unused(records: list[_Record], parts: list[_Part]) -> Iterator[tuple[str, str]]:
    dropped = {record.token for record in records if record.operation == _DROP}
    for operation, name, token in records:
        part = _Part.of(name)
        is_there = part is None or any(other.covers(part) for other in parts)
        if operation == _ADD and token not in dropped and not is_there:
            yield name, token
