"""One insert within a bounded time, whatever answers and however slowly; its outcome goes to the store's health.

An insert runs in a thread of its own, since nothing else ends a call that hangs in the network: when the time is over
the thread is left behind, and the token of the block makes it harmless that the insert may still happen.
"""

import gc
import threading
from typing import Final

from clickhouse.store import BlockRefused, DaysLeft, StoreAway, StoreError, Writer
from receiver.block_file import Outgoing
from receiver.metrics import Metrics
from receiver.store_health import StoreHealth

STOPPING: Final = "stopping"
"""Why nothing is inserted any more after `hurry`."""


class Inserter:
    """Inserts blocks, from any thread, each within `seconds`."""

    def __init__(self, writer: Writer, health: StoreHealth, metrics: Metrics, seconds: float) -> None:
        self._writer = writer
        self._health = health
        self._metrics = metrics
        self._seconds = seconds
        self._turn = threading.Condition()
        self._hurried = False

    def insert(self, block: Outgoing, patience: int = 1) -> None:
        """Insert a block within `patience` times the bound. Raises StoreAway, BlockRefused."""
        try:
            with self._metrics.stage.labels("insert").time():
                self._within(patience * self._seconds, block)
        except BlockRefused:
            self._health.answered(block.table)  # the store is well, the block is not
            raise
        except DaysLeft:
            self._health.answered(block.table)  # as far as it was asked
            raise
        except StoreAway as away:
            if away.reason != STOPPING:
                self._health.failed(block.table, away)
            raise
        self._health.answered(block.table)
        self._metrics.rows.labels(block.table).inc(block.records)

    def hurry(self) -> None:
        """Wait for no insert any longer: those under way and all later ones fail with the reason `STOPPING`."""
        with self._turn:
            self._hurried = True
            self._turn.notify_all()

    @property
    def is_hurried(self) -> bool:
        """Whether inserts fail at once."""
        return self._hurried

    def _within(self, seconds: float, block: Outgoing) -> None:
        if self._hurried:
            raise StoreAway("The server is stopping.", STOPPING)
        outcome: list[StoreError | None] = []

        def insert() -> None:
            failure = self._try(block)
            with self._turn:
                outcome.append(failure)
                self._turn.notify_all()

        threading.Thread(target=insert, name="insert", daemon=True).start()
        with self._turn:
            self._turn.wait_for(lambda: outcome or self._hurried, seconds)
            if not outcome:
                reason = STOPPING if self._hurried else "NO_ANSWER"
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

    def _try(self, block: Outgoing) -> StoreError | None:
        """Insert a block, in the thread that may be left behind; return what failed."""
        try:
            self._writer.insert(block.table, block.data, block.token)
        except (StoreAway, BlockRefused) as error:
            return error.with_traceback(None)
        except Exception as error:  # noqa: BLE001  an edge: whatever breaks in a driver; its text could quote data
            name = type(error).__name__
            return StoreAway(f"Inserting into {block.table} failed: {name}", name)
        return None
