"""Inserts the blocks that wait in the spool: each table's oldest first, again and again until the store takes it.

Every table has a thread of its own, so that one that is slow or refuses holds up no other; each inserts one block at a
time, beside the new ones, so that neither starves the other. A block with rows of many days is inserted a few days at a
time, with a pause after each few, and lets others go first. `circuit` says how long to wait after a failure. A block
that fails time after time while its table takes others lets those go first.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from functools import partial

import structlog

from clickhouse.store import BlockRefused, DaysLeft, StoreAway
from receiver.block_file import CorruptBlock
from receiver.disk import Disk
from receiver.inserter import Inserter
from receiver.metrics import Metrics
from receiver.spool import Entry, Spool
from receiver.store_health import StoreHealth

log = structlog.get_logger()

_PATIENCE = 10
_TRIES_IN_A_ROW = 5
_LOOK_SECONDS = 1.0
_REMIND_LOOKS = 60


class Replay:
    """Replays the tables named."""

    def __init__(
        self,
        spool: Spool,
        inserter: Inserter,
        health: StoreHealth,
        disk: Disk,
        metrics: Metrics,
        tables: Iterable[str],
    ) -> None:
        self._spool = spool
        self._inserter = inserter
        self._health = health
        self._disk = disk
        self._metrics = metrics
        self._stopping = threading.Event()
        work: list[Callable[[], None]] = [
            *(partial(self._replay_forever, table) for table in tables),
            self._watch_forever,
        ]
        self._threads = [threading.Thread(target=target, name="replay", daemon=True) for target in work]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Begin no insert any more; wait a while for those under way, which may be left behind."""
        self._stopping.set()
        with self._spool.changed:
            self._spool.changed.notify_all()
        for thread in self._threads:
            thread.join(seconds)

    def one(self, entry: Entry) -> bool:
        """Try one block; return whether it is out of the way, stored or not. Raises StoreAway."""
        try:
            block = self._spool.read(entry)
        except (CorruptBlock, FileNotFoundError) as error:
            self._set_aside(entry, error)
            return True
        except OSError as error:
            raise StoreAway(f"The spool cannot be read: {error.strerror}", "UNREADABLE_SPOOL") from None
        try:
            self._inserter.insert(block, _PATIENCE)
        except BlockRefused as refused:
            return self._disk.bury(entry, refused)
        self._disk.remove(entry)
        self._metrics.replayed_blocks.labels(entry.table).inc()
        self._metrics.replayed_records.labels(entry.table).inc(entry.records)
        return True

    def _replay_forever(self, table: str) -> None:
        tries = 0
        while not self._stopping.is_set():
            entry = self._await_entry(table)
            if entry is None:
                continue
            if wait := self._health.wait_seconds(table):
                self._stopping.wait(min(wait, _LOOK_SECONDS))
                continue
            begun = time.monotonic()
            with self._health.probe if self._health.is_away else nullcontext():
                if self._health.wait_seconds(table):
                    continue  # another table's probe has just failed
                is_out = self._try(entry)
            if is_out is None:
                self._spool.postpone(entry)
                # Half of the time is others'.
                self._stopping.wait(min(time.monotonic() - begun, _LOOK_SECONDS))
                continue
            tries = 0 if is_out else tries + 1
            if tries and not self._health.wait_seconds(table):  # the failure is on this side
                self._stopping.wait(_LOOK_SECONDS)
            if tries >= _TRIES_IN_A_ROW and not self._health.is_away:
                self._spool.postpone(entry)
                tries = 0

    def _try(self, entry: Entry) -> bool | None:
        """Try one block; return whether it is out of the way, None when some more of its days are stored."""
        try:
            return self.one(entry)
        except DaysLeft:
            return None
        except StoreAway:
            return False
        except Exception as error:  # noqa: BLE001  an edge: replay must go on
            # Its name alone: a traceback could quote data.
            log.error("A replay failed in an unforeseen way.", error=type(error).__name__)  # noqa: TRY400
            return False

    def _await_entry(self, table: str) -> Entry | None:
        with self._spool.changed:
            self._spool.changed.wait_for(lambda: self._stopping.is_set() or self._spool.count(table), 60)
        return None if self._stopping.is_set() else self._spool.oldest(table)

    def _set_aside(self, entry: Entry, error: Exception) -> None:
        with suppress(OSError):
            self._spool.set_aside(entry)
        self._metrics.corrupt_files.inc()
        log.error(
            "A block in the spool is not what was written; it is set aside in spool/corrupt.",
            table=entry.table,
            records=entry.records,
            error=str(error) if isinstance(error, CorruptBlock) else "it is gone",
        )

    def _watch_forever(self) -> None:
        """Take up dead letters that are returned, remove what could not be removed, and remind of what waits."""
        looks = 0
        while not self._stopping.wait(_LOOK_SECONDS):
            with suppress(OSError):
                self._spool.sweep()
            # A disk that is repaired, or has room again, is found without a client, and so is a store: a spool that is
            # full has blocks for it.
            if self._health.unstorable_seconds and self._spool.could_take(self._health.unstorable_bytes):
                self._health.can_store()
            with suppress(OSError):
                if count := self._spool.take_returned():
                    log.info("Dead letters are tried again.", blocks=count)
            looks += 1
            if looks % _REMIND_LOOKS == 0 and (tables := self._spool.tables()):
                log.warning(
                    "Blocks wait in the spool.",
                    blocks=sum(map(self._spool.count, tables)),
                    oldest_seconds=round(max(map(self._spool.age_seconds, tables))),
                    troubles=self._health.troubles,
                )
