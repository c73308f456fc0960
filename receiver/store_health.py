"""Whether an insert is worth trying, for the whole store and by table, and what keeps blocks waiting.

After a failure a table, or the whole store, is left alone for a while: new blocks go to the spool at once, and replay,
one probe at a time, finds out when the store takes them again. Each trouble is logged once when it begins, and once
when it ends.

It knows, too, since when batches can be neither inserted nor kept. Its end is found without any client, which a load
balancer may have sent away: `receiver.replay` looks whether the disk takes such a batch again, and inserts what waits.
Where neither finds out, the next client does, a minute after the last try.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

import structlog

from clickhouse.error_codes import CREDENTIALS
from clickhouse.store import StoreAway
from receiver.circuit import Circuit
from receiver.metrics import Metrics
from receiver.spool import Spool

log = structlog.get_logger()

_ALL: Final = "all"
# So long after the last try a client is let in again, which is the next one.
_FORGET_SECONDS: Final = 60.0
# Troubles that do not pass until an operator acts.
_FOR_PEOPLE: Final = {"UNFIT", "NOT_CLICKHOUSE", "TLS", *CREDENTIALS.values()}


class StoreHealth:
    """What the last inserts say of the store; threads may share it."""

    def __init__(self, spool: Spool, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._spool = spool
        self._clock = clock
        self._unstorable_since: float | None = None
        self._failed_at = 0.0
        self.unstorable_bytes = 0
        """The size of the last batch that was neither inserted nor kept."""
        self._metrics = metrics
        self._store = Circuit()
        self._tables: defaultdict[str, Circuit] = defaultdict(Circuit)
        self._troubles: dict[str, str] = {}
        self._has_no_room = False
        self.probe = threading.Lock()
        """Held by the one thread that tries a store that failed: one is enough to find out."""

    def answered(self, table: str) -> None:
        """Close the circuits: the store took a block of the table, or judged it."""
        self._has_no_room = False
        self.can_store()
        self._tables[table].succeed()
        self._store.succeed()
        for scope in (_ALL, table):
            if self._troubles.pop(scope, None):
                log.info("Blocks are inserted again.", table=scope)

    def failed(self, table: str, away: StoreAway) -> None:
        """Open the table's circuit, or the store's when the whole of it is away."""
        scope = _ALL if away.whole else table
        (self._store if away.whole else self._tables[table]).fail()
        self._metrics.insert_errors.labels(table, away.reason).inc()
        self._failed_at = self._clock()
        if self._troubles.get(scope) != away.reason:
            self._troubles[scope] = away.reason
            write = log.error if away.reason in _FOR_PEOPLE else log.warning
            write("An insert failed; blocks wait in the spool.", table=scope, error=str(away))

    def had_no_room(self, size: int) -> None:
        """Note that a batch of this size could be neither inserted nor kept, as the spool is full."""
        self._has_no_room = True
        self.cannot_store(size)

    def cannot_store(self, size: int) -> None:
        """Note that a batch of this size was neither inserted nor kept: its clients were told to try later."""
        self.unstorable_bytes = size
        self._failed_at = self._clock()
        if self._unstorable_since is None:
            self._unstorable_since = self._failed_at
            log.error("Batches can be neither inserted nor kept on the disk; clients are told to try later.")

    def can_store(self) -> None:
        """Note that a batch was inserted or kept, or could be."""
        if self._unstorable_since is not None:
            self._unstorable_since = None
            log.info("Batches can be stored again.")

    def is_worth_trying(self, table: str) -> bool:
        """Whether a new block may be inserted: not while a circuit is open and replay finds out, or must wait."""
        circuits = ((self._store, self._spool.tables()), (self._tables[table], self._spool.count(table)))
        return not any(
            circuit.is_open and (replayed or circuit.wait_seconds) for circuit, replayed in circuits
        )

    def wait_seconds(self, table: str) -> float:
        """Return how long to leave a table alone."""
        return max(self._store.wait_seconds, self._tables[table].wait_seconds)

    def reason(self, table: str) -> str:
        """Return why a table's blocks wait, in the words of metrics."""
        return self._troubles.get(_ALL) or self._troubles.get(table) or "waiting"

    @property
    def is_away(self) -> bool:
        """Whether the last insert into any table failed since the whole store is away."""
        return self._store.is_open

    @property
    def is_full(self) -> bool:
        """Whether no batch can be inserted nor kept: refuse requests before any work is done for them."""
        return self._has_no_room and self._store.is_open

    @property
    def unstorable_seconds(self) -> float:
        """How long batches can be neither inserted nor kept, 0 when the last one could, or none was tried lately."""
        since = self._unstorable_since
        if since is None or self._clock() - self._failed_at > _FORGET_SECONDS:
            return 0.0
        return self._clock() - since

    @property
    def troubles(self) -> dict[str, str]:
        """What keeps blocks waiting now, by table; the table "all" means the whole store."""
        return dict(self._troubles)
