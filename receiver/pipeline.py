"""The ingest path: accept a request, batch it, transform it, insert it, and only then acknowledge it.

    accept ──> batch ──> transform ──> insert ──> acknowledge
    survey     bytes,    one block     committed,
    budget     items     per table     fsynced
               and age

Both transports call `accept`, which returns when the request's records are committed. A malformed request is
refused at once; one that only the engine refuses is found by bisection and, unless rewriting it helps, refused
alone. Requests wait in memory within a budget of bytes, past which clients are told to try later. Nothing is
dropped uncounted.

It does not decode, redact or store: `signals`, `transform` and `clickhouse.store` do.
"""

import asyncio
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from clickhouse.store import StoreError, Writer
from receiver.meters import Meters
from receiver.signals import Signal, Survey, canonical, survey
from receiver.status import Failure, Reason, Rejected, TryLater
from receiver.transform import Block, Refused, Transform

log = structlog.get_logger()

# Half the cores make rows, which takes the most memory and leaves the others to receive; one more worker
# inserts meanwhile. The engine needs a connection for each.
TRANSFORMS = max(1, (os.cpu_count() or 2) // 2)
WORKERS = TRANSFORMS + 1


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is flushed, and how much may wait."""

    batch_bytes: int
    batch_records: int
    batch_age_seconds: float
    queue_bytes: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request whose records are committed, but for those of `rejected`, which `message` explains."""

    rejected: int = 0
    message: str = ""
    records: int = field(default=0, compare=False)
    """How many are committed; for counting, the client is not told."""


Accept = Callable[[Signal, bytes], Awaitable[Accepted]]
"""What a transport is given: `Pipeline.accept`."""


@dataclass(slots=True)
class _Waiting:
    """A request that waits to be stored; its future resolves to the failure, or None when committed."""

    body: bytes
    survey: Survey
    arrived: float
    outcome: asyncio.Future[Failure | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Pipeline:
    """Stores the requests of all three signals. Belongs to the event loop that it is started in."""

    def __init__(self, transform: Transform, writer: Writer, limits: Limits, meters: Meters) -> None:
        self._transform = transform
        self._writer = writer
        self._limits = limits
        self._meters = meters
        self._accepting = {signal: meters.accepting(signal) for signal in Signal}
        self._queued_bytes = 0
        meters.queued_bytes.set_function(lambda: self._queued_bytes)
        self._stopping = False
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="store")
        self._slots = asyncio.Semaphore(WORKERS)
        self._transforms = threading.Semaphore(TRANSFORMS)
        self._batches = {signal: _Batch(limits) for signal in Signal}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to flush."""
        for signal, batch in self._batches.items():
            self._own(self._flush_forever(signal, batch))

    async def accept(self, signal: Signal, body: bytes) -> Accepted:
        """Store a serialized Export request; return once its records are committed.

        Raises Rejected when it must not be sent again, TryLater when it should be.
        """
        if self._stopping:
            self._meters.refused.labels(signal, Reason.STOPPING).inc()
            raise TryLater(Reason.STOPPING, "The server is stopping; send again in a moment.", 5)
        meters = self._accepting[signal]
        begun = time.perf_counter()
        try:
            found = survey(signal, body)
        except Rejected as rejected:
            self._meters.refused.labels(signal, rejected.reason).inc()
            raise
        meters.survey.observe(time.perf_counter() - begun)
        meters.received.inc(found.records + found.untyped_metrics)
        meters.received_bytes.inc(len(body))
        try:
            if found.records:
                await self._store(signal, body, found)
        except Failure as failure:
            self._meters.refused.labels(signal, failure.reason).inc(found.records)
            raise
        meters.accepted.inc(found.records)
        if not found.untyped_metrics:
            return Accepted(records=found.records)
        self._meters.refused.labels(signal, Reason.UNTYPED_METRIC).inc(found.untyped_metrics)
        return Accepted(
            found.untyped_metrics,
            f"{found.untyped_metrics} metrics have no data and so no type.",
            found.records,
        )

    def hasten(self) -> None:
        """Flush whatever waits, and from now on every request as it comes."""
        for batch in self._batches.values():
            batch.hasten()

    async def stop(self) -> None:
        """Refuse new requests, store those that wait, and return when all are answered."""
        self._stopping = True
        for batch in self._batches.values():
            batch.close()
        while self._tasks:  # a flusher's last act is to make one more
            await asyncio.gather(*self._tasks)
        self._workers.shutdown()

    async def _store(self, signal: Signal, body: bytes, found: Survey) -> None:
        if len(body) > self._limits.queue_bytes:
            raise Rejected(
                Reason.TOO_LARGE,
                "The request is larger than the server's whole queue: send smaller batches, or raise"
                " TELEMETRY_QUEUE_BYTES.",
            )
        if self._queued_bytes + len(body) > self._limits.queue_bytes:
            raise TryLater(
                Reason.OVERLOADED,
                "The server's queue is full; send again later. If it stays so, raise TELEMETRY_QUEUE_BYTES.",
            )
        waiting = _Waiting(body, found, time.monotonic())
        self._queued_bytes += len(body)
        self._batches[signal].add(waiting)
        failure = await waiting.outcome
        if failure is not None:
            raise failure

    async def _flush_forever(self, signal: Signal, batch: "_Batch") -> None:
        """Flush a batch when it is due; while one of the signal is on its way, only when the next is full.

        A statement costs much the same for few records as for many. Under load requests therefore gather while
        a batch is stored, and batches grow until they keep up.
        """
        under_way: asyncio.Task[None] | None = None
        while await batch.due():
            if under_way is not None and not under_way.done():
                await batch.full_or(under_way)
            await self._slots.acquire()
            under_way = self._own(self._flush(signal, batch.take()))

    async def _flush(self, signal: Signal, taken: Sequence[_Waiting]) -> None:
        self._meters.batch_bytes.labels(signal).observe(sum(len(waiting.body) for waiting in taken))
        self._meters.batch_age.labels(signal).observe(time.monotonic() - taken[0].arrived)
        loop = asyncio.get_running_loop()
        try:
            failures = await loop.run_in_executor(self._workers, self._commit, signal, taken)
        except Exception as error:  # noqa: BLE001  a service edge: clients must be answered whatever broke
            # Its name alone: a traceback could quote what clients sent.
            log.error(  # noqa: TRY400
                "A batch failed in an unforeseen way.", error=type(error).__name__, signal=signal
            )
            broken = TryLater(Reason.INTERNAL, "The server failed to store the request; its log says more.")
            failures = [broken] * len(taken)
        finally:
            self._slots.release()
        for waiting, failure in zip(taken, failures, strict=True):
            self._queued_bytes -= len(waiting.body)
            if not waiting.outcome.done():  # else its client went away
                waiting.outcome.set_result(failure)

    def _commit(self, signal: Signal, taken: Sequence[_Waiting]) -> list[Failure | None]:
        """Transform and insert a batch, in a worker thread; give each request's failure, None when stored."""
        try:
            blocks = []
            with self._transforms, self._meters.stage.labels("transform").time():
                for table in sorted({table for waiting in taken for table in waiting.survey.tables}):
                    bodies = [waiting.body for waiting in taken if table in waiting.survey.tables]
                    blocks.append(self._transform.run(table, bodies))
        except Refused as refused:
            if len(taken) > 1:
                middle = len(taken) // 2
                return self._commit(signal, taken[:middle]) + self._commit(signal, taken[middle:])
            if not refused.too_large:
                body = canonical(signal, taken[0].body)
                if body != taken[0].body:
                    return self._commit(signal, [replace(taken[0], body=body)])
            return [_refusal(refused)]
        return [self._insert(taken, blocks)] * len(taken)

    def _insert(self, taken: Sequence[_Waiting], blocks: Sequence[Block]) -> Failure | None:
        """Insert a batch's blocks, and count them; give what all its requests fail with, None when stored."""
        for block in blocks:
            try:
                with self._meters.stage.labels("insert").time():
                    if block.data:
                        self._writer.insert(block.table, block.data, uuid.uuid4().hex)
            except StoreError as error:
                self._meters.insert_errors.labels(block.table).inc()
                log.warning(
                    "An insert failed; its clients are told to send again.",
                    table=block.table,
                    error=str(error),
                )
                return TryLater(Reason.STORE_UNAVAILABLE, "ClickHouse did not take the batch; send again.", 5)
            rows = sum(waiting.survey.tables.get(block.table, 0) for waiting in taken)
            self._meters.rows.labels(block.table).inc(rows)
            for rule, count in block.tally.redactions.items():
                self._meters.redactions.labels(rule).inc(count)
            for kind, count in block.tally.oddities.items():
                self._meters.oddities.labels(kind).inc(count)
        return None

    def _own(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _refusal(refused: Refused) -> Rejected:
    if refused.too_large:
        return Rejected(
            Reason.TOO_LARGE,
            "The request needs too much memory to be turned into rows; send fewer records at a time.",
        )
    return Rejected(
        Reason.MALFORMED, "The request parses, but cannot be turned into rows; check the exporter."
    )


class _Batch:
    """One signal's queue. It is due by bytes, by records, by the age of its oldest request, or on closing."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._records = 0
        self._closed = False
        self._patience_seconds = limits.batch_age_seconds
        self._changed = asyncio.Event()

    def add(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self._bytes += len(waiting.body)
        self._records += waiting.survey.records
        if len(self._waiting) == 1 or self._full:
            self._changed.set()

    def hasten(self) -> None:
        self._patience_seconds = 0.0
        self._changed.set()

    def close(self) -> None:
        self._closed = True
        self._changed.set()

    async def due(self) -> bool:
        """Wait until there is a batch to take; False when closed and empty."""
        while not (self._full or (self._closed and self._waiting)):
            if self._closed:
                return False
            self._changed.clear()
            try:
                async with asyncio.timeout(self._patience):
                    await self._changed.wait()
            except TimeoutError:
                return True
        return True

    async def full_or(self, under_way: asyncio.Task[None]) -> None:
        """Wait until the batch is full, or a flush under way has ended."""
        while not (self._full or under_way.done()):
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait([changed, under_way], return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    def take(self) -> list[_Waiting]:
        """Take the oldest requests up to the limits, at least one."""
        taken: list[_Waiting] = []
        size = records = 0
        while self._waiting:
            head = self._waiting[0]
            size += len(head.body)
            records += head.survey.records
            if taken and (size > self._limits.batch_bytes or records > self._limits.batch_records):
                break
            taken.append(self._waiting.popleft())
        self._bytes -= sum(len(waiting.body) for waiting in taken)
        self._records -= sum(waiting.survey.records for waiting in taken)
        return taken

    @property
    def _full(self) -> bool:
        return self._bytes >= self._limits.batch_bytes or self._records >= self._limits.batch_records

    @property
    def _patience(self) -> float | None:
        if not self._waiting:
            return None
        return max(0.0, self._waiting[0].arrived + self._patience_seconds - time.monotonic())
