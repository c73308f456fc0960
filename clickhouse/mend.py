"""What a kill can leave in the engine's tables, mended before they are opened.

A MergeTree table writes the token of an insert into `deduplication_logs` and only then gives the insert's part its
name. A kill between the two leaves a token without rows, and the insert that is made again under it is taken for a
duplicate: its rows would never come. Such tokens are forgotten here, by the record with which the engine itself
forgets one.

    <operation: 1 add, 2 drop> <part> <token's hash>      one line a part, the newest last

Source: https://github.com/ClickHouse/ClickHouse/blob/master/src/Storages/MergeTree/MergeTreeDeduplicationLog.cpp
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

# More than can be under way when a process is killed.
_NEWEST: Final = 256
_PART: Final = re.compile(r"(?P<partition>.+)_(?P<first>\d+)_(?P<last>\d+)_\d+(?:_\d+)?")
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


def forget_unused_tokens(data: Path) -> int:
    """Forget, in every table below, the newest tokens whose parts never came to be; give how many.

    Nothing may have the tables open. Raises OSError.
    """
    return sum(_forget(logs) for logs in data.glob("store/*/*/deduplication_logs"))


def _forget(logs: Path) -> int:
    numbered = {int(path.stem.rpartition("_")[2]): path for path in logs.glob("deduplication_log_*.txt")}
    if not numbered:
        return 0
    lines = [line for number in sorted(numbered)[-2:] for line in numbered[number].read_text().splitlines()]
    parts = [part for path in logs.parent.iterdir() if (part := _Part.of(path.name))]
    unused = list(_unused([line.split("\t") for line in lines[-_NEWEST:]], parts))
    if unused:
        with numbered[max(numbered)].open("a") as file:
            file.writelines(f"{_DROP}\t{name}\t{token}\n" for name, token in unused)
    return len(unused)


def _unused(records: list[list[str]], parts: list[_Part]) -> Iterator[tuple[str, str]]:
    dropped = {token for operation, _, token in records if operation == _DROP}
    for operation, name, token in records:
        part = _Part.of(name)
        is_there = part is None or any(other.covers(part) for other in parts)
        if operation == _ADD and token not in dropped and not is_there:
            yield name, token
