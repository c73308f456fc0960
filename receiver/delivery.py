"""From a transformed batch to an answer: on disk first, then into the store, else kept until the store takes it.

    write ──> insert ──┬─ committed ─────────────> remove ──> acknowledge
    spool,    within   ├─ later (StoreAway) ─────> sync ────> acknowledge; `replay` inserts it again
    no sync   a time   └─ never (BlockRefused) ──> dead letter, synced ──> acknowledge

The token of a block is fixed before it is written and stays with it, so that what is inserted twice is stored once.
After a failure a table, or the whole store, is left alone for a while: new blocks go to the spool at once, and
replay finds out when all is well again. A spool that is full makes clients try later; one that cannot be written is
done without, and then only what is committed is acknowledged.
"""

import gc
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import structlog

from clickhouse.faults import CREDENTIALS
from clickhouse.store import BlockRefused, StoreAway, StoreError, Writer
from receiver.block_file import Outgoing
from receiver.circuit import Circuit
from receiver.meters import Meters
from receiver.resends import Resends
from receiver.spool import Entry, Spool, SpoolFull
from receiver.status import Failure, Reason, TryLater

log = structlog.get_logger()

_STOPPING: Final = "stopping"
# What does not pass by itself.
_FOR_PEOPLE: Final = {"UNFIT", "NOT_CLICKHOUSE", "TLS", *CREDENTIALS.values()}
_UNKEPT: Final = "ClickHouse did not take the batch, and it cannot be kept on the disk; send again."


class Delivery:
    """Delivers batches, from any thread. `insert_seconds` bounds an insert, whatever answers however slowly."""

    def __init__(
        self, writer: Writer, spool: Spool, resends: Resends, meters: Meters, insert_seconds: float
    ) -> None:
        self._writer = writer
        self._spool = spool
        self._resends = resends
        self._meters = meters
        self._insert_seconds = insert_seconds
        self._store = Circuit()
        self._tables: defaultdict[str, Circuit] = defaultdict(Circuit)
        self._troubles: dict[str, str] = {}
        self._turn = threading.Condition()
        self._hurried = False
        self._is_full = False
        self.probe = threading.Lock()
        """Held by who tries a store that failed: one at a time is enough to find out."""

    def deliver(self, blocks: Sequence[Outgoing], requests: Sequence[bytes]) -> Failure | None:
        """Store or keep a batch, all of it; give what its requests fail with, None when they may be acknowledged."""
        if not blocks:
            return None
        worth_trying = [self._is_worth_trying(block.table) for block in blocks]
        if not all(worth_trying) and not self._spool.has_room(sum(len(block.data) for block in blocks)):
            self._is_full = True
            return full()
        try:
            entries = self._spool.write(blocks, requests)
        except OSError as error:
            self._complain("write", error)
            return self._deliver_unkept(blocks, requests)
        left, why = [], ""
        for entry, block, is_worth_trying in zip(entries, blocks, worth_trying, strict=True):
            # Once more, since the batch's block before this one may have found out.
            is_worth_trying = is_worth_trying and self._is_worth_trying(block.table)  # noqa: PLW2901
            reason = self._insert_or_bury(entry, block) if is_worth_trying else self._why(block.table)
            if reason:
                left.append(entry)
                why = reason
        if left:
            self._remove_all(entries, but=left)
            return self._keep(left, requests, why, even_if_full=any(worth_trying))
        self._record(requests)
        self._remove_all(entries)
        return None

    def insert(self, block: Outgoing, patience: int = 1) -> None:
        """Insert a block within so many times the bound. Raises StoreAway, BlockRefused, and remembers it."""
        try:
            with self._meters.stage.labels("insert").time():
                self._within_time(block, patience * self._insert_seconds)
        except BlockRefused:
            self._note(block.table, None)
            raise
        except StoreAway as away:
            if away.reason != _STOPPING:
                self._note(block.table, away)
            raise
        self._note(block.table, None)
        self._meters.rows.labels(block.table).inc(block.records)

    def bury(self, entry: Entry, refused: BlockRefused) -> bool:
        """Move a block that was refused for good to the dead letters; say whether that worked."""
        try:
            self._spool.bury(entry, refused.reason)
        except OSError as error:
            self._complain("bury", error)
            return False
        self._meters.dead_blocks.labels(entry.table, refused.reason).inc()
        self._meters.dead_records.labels(entry.table, refused.reason).inc(entry.records)
        log.error(
            "A block was refused for good and is in dead-letter; mend the cause, then: telemetry replay.",
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

    def wait_seconds(self, table: str) -> float:
        """How long to leave a table alone."""
        return max(self._store.wait_seconds, self._tables[table].wait_seconds)

    @property
    def is_store_away(self) -> bool:
        """Whether nothing at all could be inserted lately."""
        return self._store.is_open

    @property
    def is_full(self) -> bool:
        """Whether no batch can be inserted nor kept: refuse requests before any work is done for them."""
        return self._is_full and self._store.is_open

    @property
    def troubles(self) -> dict[str, str]:
        """What keeps blocks waiting now, by table; the table "all" stands for the whole store."""
        return dict(self._troubles)

    def hurry(self) -> None:
        """Wait for no insert any longer: what is under way and what comes goes to the spool."""
        with self._turn:
            self._hurried = True
            self._turn.notify_all()

    def _insert_or_bury(self, entry: Entry, block: Outgoing) -> str:
        """Insert a new block, or make it a dead letter; give the reason if it can be neither now, else ""."""
        try:
            self.insert(block)
        except StoreAway as away:
            return away.reason
        except BlockRefused as refused:
            return "" if self.bury(entry, refused) else refused.reason
        return ""

    def _remove_all(self, entries: Sequence[Entry], but: Sequence[Entry] = ()) -> None:
        for entry in entries:
            if not (entry in but or entry.is_gone):
                self.remove(entry)

    def _is_worth_trying(self, table: str) -> bool:
        """Tell whether an insert may work: not when one failed lately and replay will find out."""
        circuits = ((self._store, self._spool.tables()), (self._tables[table], self._spool.count(table)))
        return not self._hurried and not any(
            circuit.is_open and (replayed or circuit.wait_seconds) for circuit, replayed in circuits
        )

    def _why(self, table: str) -> str:
        if self._hurried:
            return _STOPPING
        return self._troubles.get("all") or self._troubles.get(table) or "waiting"

    def _keep(
        self, left: Sequence[Entry], requests: Sequence[bytes], why: str, *, even_if_full: bool
    ) -> Failure | None:
        try:
            self._spool.seal(left, why, even_if_full=even_if_full)
        except SpoolFull:
            self._spool.drop(left)
            self._is_full = True
            return full()
        except OSError as error:
            self._complain("sync", error)
            self._spool.drop(left)
            return TryLater(Reason.STORE_UNAVAILABLE, _UNKEPT, 5)
        for entry in left:
            self._meters.spooled_blocks.labels(entry.table, why).inc()
            self._meters.spooled_records.labels(entry.table, why).inc(entry.records)
        self._record(requests)
        return None

    def _deliver_unkept(self, blocks: Sequence[Outgoing], requests: Sequence[bytes]) -> Failure | None:
        """Insert a batch that cannot be written to the disk: acknowledge it if all of it is committed."""
        unkept = TryLater(Reason.STORE_UNAVAILABLE, _UNKEPT, 5)
        if not all(self._is_worth_trying(block.table) for block in blocks):
            return unkept
        try:
            for block in blocks:
                self.insert(block)
        except StoreError:
            return unkept
        self._record(requests)
        return None

    def _within_time(self, block: Outgoing, seconds: float) -> None:
        if self._hurried:
            raise StoreAway("The server is stopping.", _STOPPING)
        outcome: list[StoreError | None] = []

        def insert() -> None:
            failure: StoreError | None = None
            try:
                self._writer.insert(block.table, block.data, block.token)
            except (StoreAway, BlockRefused) as error:
                failure = error.with_traceback(None)
            except Exception as error:  # noqa: BLE001  an edge: whatever breaks in a driver; its text could quote data
                name = type(error).__name__
                failure = StoreAway(f"Inserting into {block.table} failed: {name}", name)
            with self._turn:
                outcome.append(failure)
                self._turn.notify_all()

        # A thread that may be left behind: nothing else ends a call that hangs in the network.
        threading.Thread(target=insert, name="insert", daemon=True).start()
        with self._turn:
            self._turn.wait_for(lambda: outcome or self._hurried, seconds)
            if not outcome:
                reason = _STOPPING if self._hurried else "NO_ANSWER"
                raise StoreAway(f"Inserting into {block.table} failed: {reason} in {seconds:g} s", reason)
        failure = outcome.pop()
        if failure is not None:
            # The driver keeps errors in variables of frames that these errors hold, and with them every frame that
            # called, down to the block: megabytes, which in an outage would gather until the next collection.
            failure.__context__ = None
            gc.collect()
            try:
                raise failure
            finally:
                del failure  # it would hold the frame that holds it

    def _note(self, table: str, away: StoreAway | None) -> None:
        """Open or close the circuits, count, and tell once what changed."""
        if away is None:
            self._is_full = False
            self._tables[table].succeed()
            self._store.succeed()
            for scope in ("all", table):
                if self._troubles.pop(scope, None):
                    log.info("Blocks are inserted again.", table=scope)
            return
        scope = "all" if away.whole else table
        (self._store if away.whole else self._tables[table]).fail()
        self._meters.insert_errors.labels(table, away.reason).inc()
        if self._troubles.get(scope) != away.reason:
            self._troubles[scope] = away.reason
            tell = log.error if away.reason in _FOR_PEOPLE else log.warning
            tell("An insert failed; blocks wait in the spool.", table=scope, error=str(away))

    def _record(self, requests: Sequence[bytes]) -> None:
        try:
            self._resends.record(requests)
        except OSError as error:
            self._complain("record", error)

    def _complain(self, doing: str, error: OSError) -> None:
        self._meters.spool_errors.labels(doing).inc()
        log.error(
            "The spool cannot be used: mend the disk under TELEMETRY_DATA_DIR.",
            doing=doing,
            error=error.strerror,
        )


def full() -> TryLater:
    """Say that nothing more can be kept."""
    return TryLater(
        Reason.OVERLOADED,
        "ClickHouse does not take batches and the spool is full; send again later. If it stays so, raise"
        " TELEMETRY_SPOOL_BYTES.",
        5,
    )
