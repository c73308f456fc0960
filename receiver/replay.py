"""Inserts what waits in the spool: each table's oldest block first, again and again until the store takes it.

Every table has a thread of its own, so that one that is slow or refuses holds up no other; each inserts one block at a
time, beside the new ones, so that neither starves the other. How long to wait after a failure says `circuit`. A block
that fails time after time while its table takes others lets those go first.
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from functools import partial

import structlog

from clickhouse.store import BlockRefused, StoreAway
from receiver.block_file import Corrupt
from receiver.delivery import Delivery
from receiver.meters import Meters
from receiver.spool import Entry, Spool

log = structlog.get_logger()

_PATIENCE = 10
_TRIES_IN_A_ROW = 5
_LOOK_SECONDS = 1.0
_REMIND_LOOKS = 60


class Replay:
    """Replays the tables named."""

    def __init__(self, spool: Spool, delivery: Delivery, meters: Meters, tables: Iterable[str]) -> None:
        self._spool = spool
        self._delivery = delivery
        self._meters = meters
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
        """Try one block; say whether it is out of the way, stored or not. Raises StoreAway."""
        try:
            block = self._spool.read(entry)
        except (Corrupt, FileNotFoundError) as error:
            self._set_aside(entry, error)
            return True
        except OSError as error:
            raise StoreAway(f"The spool cannot be read: {error.strerror}", "UNREADABLE_SPOOL") from None
        try:
            self._delivery.insert(block, _PATIENCE)
        except BlockRefused as refused:
            return self._delivery.bury(entry, refused)
        self._delivery.remove(entry)
        self._meters.replayed_blocks.labels(entry.table).inc()
        self._meters.replayed_records.labels(entry.table).inc(entry.records)
        return True

    def _replay_forever(self, table: str) -> None:
        tries = 0
        while not self._stopping.is_set():
            entry = self._await_entry(table)
            if entry is None:
                continue
            if wait := self._delivery.wait_seconds(table):
                self._stopping.wait(min(wait, _LOOK_SECONDS))
                continue
            with self._delivery.probe if self._delivery.is_store_away else nullcontext():
                if self._delivery.wait_seconds(table):
                    continue  # another table has just found out
                is_out = self._try(entry)
            tries = 0 if is_out else tries + 1
            if tries and not self._delivery.wait_seconds(table):  # what failed is on this side
                self._stopping.wait(_LOOK_SECONDS)
            if tries >= _TRIES_IN_A_ROW and not self._delivery.is_store_away:
                self._spool.postpone(entry)
                tries = 0

    def _try(self, entry: Entry) -> bool:
        try:
            return self.one(entry)
        except StoreAway:
            return False
        except Exception as error:  # noqa: BLE001  an edge: nobody else would see to it that replay goes on
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
        self._meters.corrupt_files.inc()
        log.error(
            "A block in the spool is not what was written; it is set aside in spool/corrupt.",
            table=entry.table,
            records=entry.records,
            error=str(error) if isinstance(error, Corrupt) else "it is gone",
        )

    def _watch_forever(self) -> None:
        """Take up dead letters that are returned, remove what could not be removed, and remind of what waits."""
        looks = 0
        while not self._stopping.wait(_LOOK_SECONDS):
            with suppress(OSError):
                self._spool.sweep()
            with suppress(OSError):
                if count := self._spool.take_returned():
                    log.info("Dead letters are tried again.", blocks=count)
            looks += 1
            if looks % _REMIND_LOOKS == 0 and (tables := self._spool.tables()):
                log.warning(
                    "Blocks wait in the spool.",
                    blocks=sum(map(self._spool.count, tables)),
                    oldest_seconds=round(max(map(self._spool.age_seconds, tables))),
                    troubles=self._delivery.troubles,
                )
