"""The rows and bytes of the parts that are in use in a stopped embedded server's directory.

Read from the files, because only one process can open a data directory. A directory with a `columns.txt` is a
part. Its name is partition_first_last_level_mutation; a part that spans the blocks of another at the same
or a higher level and mutation has replaced it, which only waits for its deletion and does not count
(https://clickhouse.com/docs/engines/table-engines/mergetree-family/custom-partitioning-key).
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

PART_NAME = re.compile(
    r"(?P<partition>[^_]+)_(?P<first>\d+)_(?P<last>\d+)_(?P<level>\d+)(?:_(?P<mutation>\d+))?"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """The contents of the parts in use."""

    rows: int
    """Of the table with the most rows."""
    bytes_on_disk: int
    """Of all tables."""
    parts: int


def measure(data: Path) -> Stored:
    """Return the contents of the tables below `data`."""
    parts = [part for table in tables(data).values() for part in in_use(table)]
    rows: defaultdict[Path, int] = defaultdict(int)
    for part in parts:
        rows[part.path.parent] += int((part.path / "count.txt").read_text())
    size = sum(file.stat().st_size for part in parts for file in part.path.rglob("*") if file.is_file())
    return Stored(max(rows.values(), default=0), size, len(parts))


@dataclass(frozen=True, slots=True)
class Part:
    """One part's directory and the blocks it spans."""

    path: Path
    partition: str
    first: int
    last: int
    level: int
    mutation: int

    def replaces(self, other: "Part") -> bool:
        """Return whether this part was made from the other, by a merge or a mutation."""
        return (
            self != other
            and self.partition == other.partition
            and self.level >= other.level
            and self.mutation >= other.mutation
            and self.first <= other.first
            and self.last >= other.last
        )


def tables(data: Path) -> dict[Path, list[Part]]:
    """Return every part below `data` by its table's directory, without detached and temporary ones."""
    found: defaultdict[Path, list[Part]] = defaultdict(list)
    for columns in data.rglob("columns.txt"):
        path = columns.parent
        name = PART_NAME.fullmatch(path.name)
        if name and (path / "count.txt").exists() and not path.name.startswith(("tmp", "delete_tmp")):
            numbers = (int(name[group] or 0) for group in ("first", "last", "level", "mutation"))
            found[path.parent].append(Part(path, name["partition"], *numbers))
    return {table: parts for table, parts in found.items() if table.name != "detached"}


def in_use(parts: list[Part]) -> list[Part]:
    """Return the parts that no other part has replaced."""
    return [part for part in parts if not any(other.replaces(part) for other in parts)]
