"""The ingest path: accept a request, batch it, transform it, insert it, and only then acknowledge it.

    accept ──> batch ──> transform ──> deliver ──> acknowledge
    survey     bytes,    one block     committed,
    resent?    items     per table     or fsynced
    budget     and age                 in the spool

Both transports call `accept`, which returns when the request's records are safe. A malformed request is
refused at once; one that only the engine refuses is found by bisection and, unless rewriting it helps, refused
alone; one that was sent before is answered as the first one was. Requests wait in memory within a budget of bytes,
past which clients are told to try later. Nothing is dropped uncounted.

It does not decode, redact or store: `signals`, `transform` and `delivery` do.
"""

import asyncio
import os
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from receiver.batch import Batch, Limits, Waiting
from receiver.block_file import Outgoing
from receiver.delivery import Delivery, full
from receiver.meters import Meters
from receiver.resends import Resends
from receiver.signals import Signal, Survey, canonical, survey
from receiver.status import Failure, Reason, Rejected, TryLater
from receiver.transform import Block, Refused, Surveyed, Transform

log = structlog.get_logger()

# Half the cores make rows, which takes the most memory and leaves the others to receive. The engine needs a
# connection for each, and one to insert meanwhile.
TRANSFORMS = max(1, (os.cpu_count() or 2) // 2)
CONNECTIONS = TRANSFORMS + 1
# Batches of a signal in work: one becomes rows while another is inserted. Each signal has its own, so that a table
# that is slow to take them holds up no other signal's.
_IN_WORK = CONNECTIONS


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request whose records are safe, but for those of `rejected`, which `message` explains."""

    rejected: int = 0
    message: str = ""
    records: int = field(default=0, compare=False)
    """How many are committed; for counting, the client is not told."""


Accept = Callable[[Signal, bytes], Awaitable[Accepted]]
"""What a transport is given: `Pipeline.accept`."""


class Pipeline:
    """Stores the requests of all three signals. Belongs to the event loop that it is started in."""

    def __init__(
        self, transform: Transform, delivery: Delivery, resends: Resends, limits: Limits, meters: Meters
    ) -> None:
        self._transform = transform
        self._delivery = delivery
        self._resends = resends
        self._limits = limits
        self._meters = meters
        self._accepting = {signal: meters.accepting(signal) for signal in Signal}
        self._queued_bytes = 0
        meters.queued_bytes.set_function(lambda: self._queued_bytes)
        self._stopping = False
        self._workers = ThreadPoolExecutor(len(Signal) * _IN_WORK, thread_name_prefix="store")
        self._transforms = threading.Semaphore(TRANSFORMS)
        self._batches = {signal: Batch(limits, lambda: bool(delivery.troubles)) for signal in Signal}
        self._under_way: dict[bytes, asyncio.Future[Failure | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to flush."""
        for signal, batch in self._batches.items():
            self._own(self._flush_forever(signal, batch))

    async def accept(self, signal: Signal, body: bytes) -> Accepted:
        """Store a serialized Export request; return once its records are committed, or synced in the spool.

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
            stored = await self._store(signal, body, found) if found.records else 0
        except Failure as failure:
            self._meters.refused.labels(signal, failure.reason).inc(found.records)
            raise
        if not found.untyped_metrics:
            return Accepted(records=stored)
        self._meters.refused.labels(signal, Reason.UNTYPED_METRIC).inc(found.untyped_metrics)
        return Accepted(
            found.untyped_metrics,
            f"{found.untyped_metrics} metrics have no data and so no type.",
            stored,
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

    async def _store(self, signal: Signal, body: bytes, found: Survey) -> int:
        """Have a request's records stored; give how many, none if they are already."""
        name = self._resends.name(signal, body)
        if self._resends.knows(name):
            self._meters.resent.labels(signal).inc(found.records)
            return 0
        earlier = self._under_way.get(name)
        if earlier is not None:
            self._meters.resent.labels(signal).inc(found.records)
        outcome = earlier or self._enqueue(signal, Waiting(body, found, time.monotonic(), name))
        # A client that goes away takes nothing with it: its request is stored, and the next one like it awaits that.
        failure = await asyncio.shield(outcome)
        if failure is not None:
            raise failure
        return found.records if earlier is None else 0

    def _enqueue(self, signal: Signal, waiting: Waiting) -> asyncio.Future[Failure | None]:
        body = waiting.body
        if len(body) > self._limits.queue_bytes:
            raise Rejected(
                Reason.TOO_LARGE,
                "The request is larger than the server's whole queue: send smaller batches, or raise"
                " TELEMETRY_QUEUE_BYTES.",
            )
        if self._delivery.is_full:
            raise full()
        if self._queued_bytes + len(body) > self._limits.queue_bytes:
            raise TryLater(
                Reason.OVERLOADED,
                "The server's queue is full; send again later. If it stays so, raise TELEMETRY_QUEUE_BYTES.",
            )
        self._queued_bytes += len(body)
        self._batches[signal].add(waiting)
        if waiting.name:
            self._under_way[waiting.name] = waiting.outcome
        return waiting.outcome

    async def _flush_forever(self, signal: Signal, batch: Batch) -> None:
        """Flush a batch when it is due; while one of the signal is on its way, only when the next is full.

        A statement costs much the same for few records as for many. Under load requests therefore gather while
        a batch is stored, and batches grow until they keep up.
        """
        under_way: asyncio.Task[None] | None = None
        slots = asyncio.Semaphore(_IN_WORK)
        while await batch.due():
            if under_way is not None and not under_way.done():
                await batch.full_or(under_way)
            await slots.acquire()
            under_way = self._own(self._flush(signal, batch.take()))
            under_way.add_done_callback(lambda _: slots.release())

    async def _flush(self, signal: Signal, taken: Sequence[Waiting]) -> None:
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
        for waiting, failure in zip(taken, failures, strict=True):
            self._queued_bytes -= len(waiting.body)
            self._under_way.pop(waiting.name, None)
            if failure is None:
                self._accepting[signal].accepted.inc(waiting.survey.records)
                self._resends.learn([waiting.name])
            waiting.outcome.set_result(failure)

    def _commit(self, signal: Signal, taken: Sequence[Waiting]) -> list[Failure | None]:
        """Transform and deliver a batch, in a worker thread; give each request's failure, None when it is safe."""
        try:
            blocks = []
            with self._transforms, self._meters.stage.labels("transform").time():
                for table in sorted({table for waiting in taken for table in waiting.survey.tables}):
                    requests = [
                        Surveyed(waiting.body, waiting.survey.tables[table])
                        for waiting in taken
                        if table in waiting.survey.tables
                    ]
                    blocks.append(self._transform.run(table, requests))
        except Refused as refused:
            if len(taken) == 1:
                return [self._commit_alone(signal, taken[0], refused)]
            # Those that do not parse are found by parsing, any others by bisection.
            failures = [] if refused.too_large else [_malformed(signal, waiting) for waiting in taken]
            if any(failures):
                rest = [waiting for waiting, failure in zip(taken, failures, strict=True) if failure is None]
                stored = iter(self._commit(signal, rest)) if rest else iter(())
                return [failure or next(stored) for failure in failures]
            middle = len(taken) // 2
            return self._commit(signal, taken[:middle]) + self._commit(signal, taken[middle:])
        return [self._deliver(taken, blocks)] * len(taken)

    def _commit_alone(self, signal: Signal, waiting: Waiting, refused: Refused) -> Failure | None:
        """Find out what is wrong with a request that was refused, and store it after all if writing it anew helps."""
        if not refused.too_large:
            try:
                body = canonical(signal, waiting.body)
            except Rejected as malformed:
                return malformed
            if body != waiting.body:
                return self._commit(signal, [replace(waiting, body=body)])[0]
        return _refusal(refused)

    def _deliver(self, taken: Sequence[Waiting], blocks: Sequence[Block]) -> Failure | None:
        """Deliver a batch's blocks, and count them; give what all its requests fail with, None when they are safe."""
        outgoing = [
            Outgoing(
                block.table,
                uuid.uuid4().hex,
                sum(waiting.survey.tables.get(block.table, 0) for waiting in taken),
                block.data,
            )
            for block in blocks
            if block.data
        ]
        failure = self._delivery.deliver(outgoing, [waiting.name for waiting in taken if waiting.name])
        if failure is None:
            for block in blocks:
                for rule, count in block.tally.redactions.items():
                    self._meters.redactions.labels(rule).inc(count)
                for kind, count in block.tally.oddities.items():
                    self._meters.oddities.labels(kind).inc(count)
        return failure

    def _own(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _malformed(signal: Signal, waiting: Waiting) -> Failure | None:
    try:
        canonical(signal, waiting.body)
    except Rejected as malformed:
        return malformed
    return None


def _refusal(refused: Refused) -> Rejected:
    if refused.too_large:
        return Rejected(
            Reason.TOO_LARGE,
            "The request needs too much memory to be turned into rows; send fewer records at a time.",
        )
    return Rejected(
        Reason.MALFORMED, "The request parses, but cannot be turned into rows; check the exporter."
    )
