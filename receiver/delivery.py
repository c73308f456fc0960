"""From a transformed batch to an answer: on disk first, then into the store, else kept until the store takes it.

    write ──> insert ──┬─ committed ─────────────> remove ──> acknowledge
    spool,    within   ├─ later (StoreAway) ─────> sync ────> acknowledge; `replay` inserts it again
    no sync   a time   └─ never (BlockRefused) ──> dead letter, synced ──> acknowledge

The token of a block is fixed before it is written and stays with it, so that a block that is inserted twice is stored
once. A spool that is full makes clients try later. A disk that cannot be written is done without, and then only what
is committed is acknowledged. Of a block with rows of many days the nearest are inserted; the others wait in the spool
as well, so that no other block waits behind them.

Its parts: `disk` writes and keeps, `inserter` inserts within a time, `store_health` knows whether that is worth trying.
"""

from collections.abc import Sequence
from typing import Final

from clickhouse.store import BlockRefused, DaysLeft, StoreAway, StoreError
from otlp.status import Failure, Reason, TryLater
from receiver.block_file import Outgoing
from receiver.disk import Disk
from receiver.inserter import STOPPING, Inserter
from receiver.spool import Entry, SpoolFull
from receiver.store_health import StoreHealth

_FULL: Final = (
    "ClickHouse does not take batches and the spool is full; send again later. If it stays so, raise"
    " TELEMETRY_SPOOL_BYTES."
)
_UNKEPT: Final = "ClickHouse did not take the batch, and it cannot be kept on the disk; send again."


class Delivery:
    """Delivers batches, from any thread."""

    def __init__(self, inserter: Inserter, health: StoreHealth, disk: Disk) -> None:
        self._inserter = inserter
        self._health = health
        self._disk = disk

    def deliver(self, blocks: Sequence[Outgoing], requests: Sequence[bytes]) -> Failure | None:
        """Store or keep all of a batch; return None when its requests may be acknowledged, else their failure."""
        if not blocks:
            return None
        worth_trying = [self._is_worth_trying(block.table) for block in blocks]
        if not all(worth_trying) and not self._disk.has_room(blocks):
            return self._no_room(blocks)
        entries = self._disk.write(blocks, requests)
        if entries is None:
            return self._deliver_unkept(blocks, requests)
        left, why = [], ""
        for entry, block, is_worth_trying in zip(entries, blocks, worth_trying, strict=True):
            reason = self._insert_or_bury(entry, block) if is_worth_trying else self._why(block.table)
            if reason:
                left.append(entry)
                why = reason
        if left:
            self._remove_all(entries, but=left)
            return self._keep(left, blocks, requests, why, even_if_full=any(worth_trying))
        self._disk.record(requests)
        self._remove_all(entries)
        return None

    def _insert_or_bury(self, entry: Entry, block: Outgoing) -> str:
        """Insert a new block, or make it a dead letter; return "", or the reason why it is neither."""
        if not self._is_worth_trying(block.table):  # the batch's block before this one may have found out
            return self._why(block.table)
        try:
            self._inserter.insert(block)
        except StoreAway as away:
            return away.reason
        except BlockRefused as refused:
            return "" if self._disk.bury(entry, refused) else refused.reason
        return ""

    def _keep(
        self,
        left: Sequence[Entry],
        blocks: Sequence[Outgoing],
        requests: Sequence[bytes],
        why: str,
        *,
        even_if_full: bool,
    ) -> Failure | None:
        """Keep what is left of a batch until replay inserts it."""
        try:
            is_kept = self._disk.keep(left, why, even_if_full=even_if_full)
        except SpoolFull:
            self._disk.drop(left)
            return self._no_room(blocks)
        if not is_kept:
            return self._unkept(blocks)
        self._health.can_store()
        self._disk.record(requests)
        return None

    def _deliver_unkept(self, blocks: Sequence[Outgoing], requests: Sequence[bytes]) -> Failure | None:
        """Insert a batch that cannot be written to the disk: acknowledge it if all of it is committed."""
        if not all(self._is_worth_trying(block.table) for block in blocks):
            return self._unkept(blocks)
        try:
            for block in blocks:
                self._insert_all_days(block)
        except StoreError:
            return self._unkept(blocks)
        self._disk.record(requests)
        return None

    def _insert_all_days(self, block: Outgoing) -> None:
        while True:
            try:
                return self._inserter.insert(block)
            except DaysLeft:
                continue

    def _is_worth_trying(self, table: str) -> bool:
        return not self._inserter.is_hurried and self._health.is_worth_trying(table)

    def _why(self, table: str) -> str:
        return STOPPING if self._inserter.is_hurried else self._health.reason(table)

    def _remove_all(self, entries: Sequence[Entry], but: Sequence[Entry] = ()) -> None:
        for entry in entries:
            if not (entry in but or entry.is_gone):
                self._disk.remove(entry)

    def _no_room(self, blocks: Sequence[Outgoing]) -> TryLater:
        self._health.had_no_room(_size(blocks))
        return full()

    def _unkept(self, blocks: Sequence[Outgoing]) -> TryLater:
        if not self._inserter.is_hurried:
            self._health.cannot_store(_size(blocks))
        return TryLater(Reason.STORE_UNAVAILABLE, _UNKEPT, 5)


def _size(blocks: Sequence[Outgoing]) -> int:
    return sum(len(block.data) for block in blocks)


def full() -> TryLater:
    """Return the failure of a request when nothing more can be kept."""
    return TryLater(Reason.OVERLOADED, _FULL, 5)
