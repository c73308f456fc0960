"""What an export covers: by partition (a day), the inserts that it has.

ClickHouse numbers the inserts into a table, and `telemetry_events` keeps the number of each row, also after merges
(https://clickhouse.com/docs/operations/settings/merge-tree-settings#enable_block_number_column). A number is given in
the moment in which an insert becomes visible, so whatever is inserted later has a higher one, however old its events.

Numbers begin again when a table was emptied, and are mixed when it was restored. So a mark also has the count and a
checksum of what lies below it. A partition in which these differ was changed, by `telemetry forget`, `reset`, `restore`
or a repair: it is exported again as a whole and named as replaced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from access.answer import Range
from access.reading import bounds, statement
from access.refusal import Code, Refusal
from access.store import Store

_MERGE_TREE: Final = "MergeTree"
_NONE: Final = "-"
"""No partition has this name: a day's has digits."""
# Not an Array(String): drivers escape the quotation marks of its items.
_PARTITIONS: Final = "splitByChar(',', {partitions:String})"
PINNED: Final = (
    f"has({_PARTITIONS}, _partition_id)",
    f"_block_number >= transform(_partition_id, {_PARTITIONS}, {{firsts:Array(UInt64)}}, toUInt64(0))",
    f"_block_number <= transform(_partition_id, {_PARTITIONS}, {{lasts:Array(UInt64)}}, toUInt64(0))",
)
"""The conditions on events that hold a statement to what a plan has."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a partition is exported: the number of its last insert, and the count and checksum of its events."""

    last: int
    records: int
    checksum: str

    def as_dict(self) -> dict[str, Any]:
        """Return it for a manifest."""
        return {"last": self.last, "records": self.records, "checksum": self.checksum}


@dataclass(frozen=True, slots=True)
class Watermark:
    """The marks of one table, by partition."""

    table: str
    marks: Mapping[str, Mark]

    def as_dict(self) -> dict[str, Any]:
        """Return it for a manifest."""
        return {
            "table": self.table,
            "partitions": {partition: mark.as_dict() for partition, mark in self.marks.items()},
        }

    @staticmethod
    def read(found: Mapping[str, Any]) -> "Watermark":
        """Return the watermark of a manifest."""
        return Watermark(
            found["table"], {partition: Mark(**mark) for partition, mark in found["partitions"].items()}
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """What is exported of one partition: the inserts `first` to `last`, and about how many events they have."""

    partition: str
    first: int
    last: int
    records: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is exported, and the watermark of the next export."""

    pieces: tuple[Piece, ...]
    watermark: Watermark | None
    """None on a cluster, whose inserts have no common order: what arrives meanwhile may be among what is exported."""
    replaced: tuple[str, ...] = ()
    """Partitions that changed below the last watermark, and are exported again."""

    @property
    def records(self) -> int:
        """About how many events there are."""
        return sum(piece.records for piece in self.pieces)

    def conditions(self) -> tuple[str, ...]:
        """Return the conditions that hold a statement to this plan, constants all."""
        return PINNED if self.watermark is not None else ()

    def values(self, pieces: Sequence[Piece] | None = None) -> dict[str, str]:
        """Return the values of these conditions, for some of the pieces or all of them."""
        if self.watermark is None:
            return {}
        chosen = self.pieces if pieces is None else pieces
        return {
            "partitions": ",".join([_NONE, *(piece.partition for piece in chosen)]),
            "firsts": _numbers([0, *(piece.first for piece in chosen)]),
            "lasts": _numbers([0, *(piece.last for piece in chosen)]),
        }


def plan(store: Store, time_range: Range, before: Watermark | None, *, incremental: bool) -> Plan:
    """Return what there is to export in a period: all of it, or what is new since the watermark. Raises Refusal."""
    found = store.rows(statement("export_table")).rows
    if not found:
        raise Refusal(
            Code.QUERY_FAILED, "There is no table telemetry_events: start the server once to have it made."
        )
    engine, identity = found[0]
    if engine != _MERGE_TREE:
        if incremental:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                "On a cluster inserts have no common order: what is new cannot be told. Export periods instead.",
                "incremental",
            )
        count = store.rows(statement("export_figures"), bounds(time_range)).dicts()[0]["records"]
        return Plan((Piece("", 0, 0, int(count)),) if int(count) else (), None)
    old = before.marks if before is not None and before.table == identity else {}
    # A table that was made again has nothing of what was exported: all of it is new, and takes the old one's place.
    replaced = [] if before is None or before.table == identity else sorted(before.marks)
    values = bounds(time_range) | {
        "partitions": ",".join([_NONE, *old]),
        "lasts": _numbers([0, *(mark.last for mark in old.values())]),
    }
    marks, pieces = {}, []
    for row in store.rows(statement("export_marks"), values).dicts():
        partition, last, records = str(row["partition"]), int(row["last"]), int(row["records"])
        marks[partition] = Mark(last, records, str(row["checksum"]))
        mark = old.get(partition)
        first, left = 0, records
        if mark is not None:
            if (int(row["earlier_records"]), str(row["earlier_checksum"])) == (mark.records, mark.checksum):
                first, left = mark.last + 1, records - mark.records
            else:
                replaced.append(partition)
        if left:
            pieces.append(Piece(partition, first, last, left))
    return Plan(tuple(pieces), Watermark(str(identity), marks), tuple(replaced))


def _numbers(items: Sequence[int]) -> str:
    return "[" + ",".join(map(str, items)) + "]"
