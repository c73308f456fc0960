"""What delivery does on the disk, with each failure counted and logged: the spool, and the log of requests.

The disk may fail at any step, and each has its own consequence: a batch that cannot be written is delivered without
being kept, one that cannot be synced is not acknowledged, a block that cannot be buried waits, one that cannot be
removed is removed later, and a request that cannot be recorded may be stored twice if it is resent after a restart.
"""

from collections.abc import Sequence

import structlog

from clickhouse.store import BlockRefused
from receiver.block_file import Outgoing
from receiver.metrics import Metrics
from receiver.resends import Resends
from receiver.spool import Entry, Spool

log = structlog.get_logger()


class Disk:
    """The spool and the log of requests, for any thread."""

    def __init__(self, spool: Spool, resends: Resends, metrics: Metrics) -> None:
        self._spool = spool
        self._resends = resends
        self._metrics = metrics

    def has_room(self, blocks: Sequence[Outgoing]) -> bool:
        """Whether these blocks may wait."""
        return self._spool.has_room(sum(len(block.data) for block in blocks))

    def write(self, blocks: Sequence[Outgoing], requests: Sequence[bytes]) -> list[Entry] | None:
        """Write a batch, unsynced; return None when the disk does not take it."""
        try:
            return self._spool.write(blocks, requests)
        except OSError as error:
            self._complain("write", error)
            return None

    def keep(self, entries: Sequence[Entry], why: str, *, even_if_full: bool) -> bool:
        """Sync what is left of a batch and let it wait for the store; on failure drop it and return False.

        Raises SpoolFull.
        """
        try:
            self._spool.seal(entries, why, even_if_full=even_if_full)
        except OSError as error:
            self._complain("sync", error)
            self._spool.drop(entries)
            return False
        for entry in entries:
            self._metrics.spooled_blocks.labels(entry.table, why).inc()
            self._metrics.spooled_records.labels(entry.table, why).inc(entry.records)
        return True

    def drop(self, entries: Sequence[Entry]) -> None:
        """Forget what is left of a batch whose clients were told nothing."""
        self._spool.drop(entries)

    def bury(self, entry: Entry, refused: BlockRefused) -> bool:
        """Move a block that was refused for good to the dead letters; return whether that worked."""
        try:
            self._spool.bury(entry, refused.reason)
        except OSError as error:
            self._complain("bury", error)
            return False
        self._metrics.dead_blocks.labels(entry.table, refused.reason).inc()
        self._metrics.dead_records.labels(entry.table, refused.reason).inc(entry.records)
        log.error(
            "A block was refused for good and is in dead-letter; repair the cause, then: telemetry replay.",
            error=str(refused),
            records=entry.records,
        )
        return True

    def remove(self, entry: Entry) -> None:
        """Remove a block that the store has."""
        try:
            self._spool.done(entry)
        except OSError as error:
            self._complain("remove", error)

    def record(self, requests: Sequence[bytes]) -> None:
        """Append requests whose records are safe to the log by which they are known when they are sent again."""
        try:
            self._resends.record(requests)
        except OSError as error:
            self._complain("record", error)

    def _complain(self, doing: str, error: OSError) -> None:
        self._metrics.spool_errors.labels(doing).inc()
        log.error(
            "The spool cannot be used: repair the disk under TELEMETRY_DATA_DIR.",
            doing=doing,
            error=error.strerror,
        )
