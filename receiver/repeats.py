"""Takes out of a batch what is stored already, and marks what was counted already, though it came in another request.

What stands between a client and here, such as a Collector, can put a record into another request before it sends it
again, and `resends` does not know those bytes. A record has two hashes, which the transform computes of what is to be
stored:

* of its content: a record that is equal in all of it is stored already, and is left out;
* of its identity, where it has one (an event's `request_id` or `tool_use_id`): a record that differs is stored, with
  the attribute `telemetry.repeated`, and views make no event of it.

A hash of 0 means that the record is not to be known again. Records of a batch under way are claimed: until it is safe
they count as known, and they are forgotten when it fails. docs/decisions/0018 has the reasons.
"""

import threading
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from clickhouse.engine import Engine, memory_file
from clickhouse.pieces import Pieces
from otlp.signals import METRIC_TABLES
from receiver.known_records import KnownRecords
from receiver.transform import Block

log = structlog.get_logger()

MOST: Final = 100_000
"""So many hashes are known at least, and twice as many at most, of spans, of log records and of data points each."""
_KEPT: Final = 1
_MARKED: Final = 2
_ATTRIBUTES: Final = {"otel_traces": "SpanAttributes", "otel_logs": "LogAttributes"}
_TABLES: Final = {
    "otel_traces": "spans",
    "otel_logs": "logs",
    **dict.fromkeys(METRIC_TABLES.values(), "points"),
}


@dataclass(frozen=True, slots=True)
class Fresh:
    """A batch's blocks without what is stored already, and how many records were found to be repeated."""

    blocks: Sequence[Block]
    repeated: int
    claims: Sequence["Claim"]


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """The hashes of the new records of one block."""

    kind: str
    hashes: set[int]


class Repeats:
    """The records known to one receiver, for any thread; none when `seconds` is 0. Raises OSError."""

    def __init__(self, engine: Engine, folder: Path | None, seconds: float, most: int = MOST) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._under_way: dict[str, list[Claim]] = {}
        self._known: dict[str, KnownRecords] = {}
        for kind in sorted(set(_TABLES.values())) if seconds else ():
            self._known[kind] = KnownRecords(folder / f"{kind}.known" if folder else None, most, seconds)
            self._under_way[kind] = []

    def without(self, blocks: Sequence[Block]) -> Fresh:
        """Claim a batch's new records, and leave out those that are stored. Then call `settle`. Raises EngineError."""
        if not self._known:
            return Fresh(blocks, 0, ())
        claims: list[Claim] = []
        fresh, repeated = [], 0
        try:
            for block in blocks:
                claim = Claim(_TABLES[block.table], set())
                claims.append(claim)
                fates = self._fates(claim, block)
                if fates is not None:
                    repeated += len(fates) - fates.count(_KEPT)
                    block = self._rewritten(block, fates)  # noqa: PLW2901  the same, without some rows
                fresh.append(block)
        except BaseException:
            self.settle(claims, stored=False)
            raise
        return Fresh(fresh, repeated, claims)

    def settle(self, claims: Iterable[Claim], *, stored: bool) -> None:
        """Remember the records of a batch that is safe; forget those of one that is not."""
        with self._lock:
            for claim in claims:
                if claim in self._under_way[claim.kind]:
                    self._under_way[claim.kind].remove(claim)
                if stored:
                    self._remember(claim)

    def close(self) -> None:
        """Close the files."""
        for known in self._known.values():
            known.close()

    def _remember(self, claim: Claim) -> None:
        try:
            self._known[claim.kind].add(claim.hashes)
        except OSError as error:
            _complain(error)

    def _forget_old(self, kind: str) -> None:
        try:
            self._known[kind].forget_old()
        except OSError as error:
            _complain(error)

    def _fates(self, claim: Claim, block: Block) -> bytearray | None:
        """Claim the hashes of records that are new; return for each row whether it is kept, marked, or left out (0).

        None: all are kept. Nearly always no row is looked at by itself.
        """
        hashes = {*block.contents, *block.identities}
        hashes.discard(0)
        count = (
            len(block.contents) + len(block.identities) - block.contents.count(0) - block.identities.count(0)
        )
        with self._lock:
            self._forget_old(claim.kind)
            known: list[KnownRecords | AbstractSet[int]] = [self._known[claim.kind]]
            known += [other.hashes for other in self._under_way[claim.kind]]
            self._under_way[claim.kind].append(claim)
            if len(hashes) == count and all(one.isdisjoint(hashes) for one in known):
                claim.hashes.update(hashes)
                return None
            fates = bytearray(
                self._fate(claim, known, content, identity)
                for content, identity in zip(block.contents, block.identities, strict=True)
            )
        return None if fates.count(_KEPT) == len(fates) else fates

    def _fate(
        self, claim: Claim, known: Sequence[KnownRecords | AbstractSet[int]], content: int, identity: int
    ) -> int:
        if not content:
            return _KEPT
        mine = claim.hashes
        if content in mine or any(content in one for one in known):
            return 0
        mine.add(content)
        if not identity:
            return _KEPT
        if identity in mine or any(identity in one for one in known):
            return _MARKED
        mine.add(identity)
        return _KEPT

    def _rewritten(self, block: Block, fates: bytearray) -> Block:
        attributes = _ATTRIBUTES.get(block.table)
        marked = (
            f"REPLACE (CAST(if(fate = {_MARKED}, mapSort(mapUpdate(CAST({attributes}, 'Map(String, String)'),"
            f" map('telemetry.repeated', 'true'))), CAST({attributes}, 'Map(String, String)')),"
            f" 'Map(LowCardinality(String), String)') AS {attributes})"
            if attributes
            else ""
        )
        with memory_file(block.data) as path:
            data = self._engine.query(
                f"SELECT * EXCEPT fate {marked} FROM (SELECT *,"  # noqa: S608  constants
                " reinterpretAsUInt8(substring(unhex({fates:String}), rowNumberInAllBlocks() + 1, 1)) AS fate"
                " FROM file({path:String}, Native)) WHERE fate != 0 SETTINGS max_threads = 1",
                {"path": path, "fates": fates.hex()},
            )
        rows = len(fates) - fates.count(0)
        return replace(block, data=Pieces([data] if rows else []), rows=rows)


def _complain(error: OSError) -> None:
    log.error(
        "Hashes of stored records cannot be written: repair the disk under TELEMETRY_DATA_DIR.",
        error=error.strerror,
    )
