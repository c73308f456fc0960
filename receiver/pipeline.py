"""The ingest path: accept a request, batch it, transform it, insert it, and only then acknowledge it.

    accept ──> batch ──> transform ──> deliver ──> acknowledge
    survey     bytes,    one block     committed,
    resent?    items     per table     or fsynced
    budget     and age                 in the spool

Transports call `take`, or await `accept`, and are told when the request's records are safe. A request that does not
parse is repaired (`request_repair`) or refused; one that only the engine refuses is found by bisection and, unless
rewriting or repairing it helps, refused alone; one that was sent before is answered as the first one was. Requests wait
in memory within a budget of bytes, beyond which clients are told to try later. Nothing is dropped uncounted.

It does not decode, redact or store: `signals`, `transform` and `delivery` do. It counts through `SignalMetrics`.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog

from otlp.bounds import DEFAULTS, RequestLimits, surveyed
from otlp.signals import Signal, Survey, canonical
from otlp.status import Failure, Reason, Rejected, TryLater
from receiver.block_file import Outgoing
from receiver.delivery import Delivery, full
from receiver.metrics import Metrics
from receiver.repeats import Fresh, Repeats
from receiver.request_repair import Repaired, repaired, unknown_field
from receiver.resends import Resends
from receiver.signal_queue import Batch, Outcome, QueueLimits, SignalQueue, Waiting
from receiver.store_health import StoreHealth
from receiver.transform import Block, MakesRows, Refused, Surveyed
from receiver.turns import BESIDE_SLOW, Clients, Turns, may_begin

log = structlog.get_logger()

# Half the cores make rows, which takes the most memory and leaves the others to receive. The engine needs a
# connection for each, one to insert meanwhile, one for what is stored alone, and some beside slow ones.
TRANSFORMS = max(1, (os.cpu_count() or 2) // 2)
CONNECTIONS = TRANSFORMS + 2 + BESIDE_SLOW
# Batches of a signal in work: one becomes rows while another is inserted. Each signal has its own, so that a table
# that is slow to take them holds up no other signal's.
_IN_WORK = TRANSFORMS + 1
# A request so large is surveyed in a thread, since the event loop answers all the others.
_LARGE_BYTES = 1 << 20
_LOOK_SECONDS = 0.05
# Answers are sent in the event loop, which has others to serve.
_TOLD_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request whose records are safe, but for those of `rejected`, which `message` explains."""

    rejected: int = 0
    message: str = ""
    records: int = field(default=0, compare=False)
    """How many are committed; for counting, the client is not told."""


Done = Callable[[Accepted | Failure], None]
"""Is called in the event loop, once, with what became of a request."""

Take = Callable[[Signal, bytes, bytes, Done], None]
"""What a transport is given: `Pipeline.take`."""


async def awaited(take: Callable[[Done], None]) -> Accepted:
    """Await a request that `take` hands over, with the `done` that it is given. Raises its Failure.

    A caller that stops waiting takes nothing with it: the request is stored all the same.
    """
    told: asyncio.Future[Accepted | Failure] = asyncio.get_running_loop().create_future()

    def done(ended: Accepted | Failure) -> None:
        if not told.done():
            told.set_result(ended)

    take(done)
    ended = await told
    if isinstance(ended, Failure):
        raise ended
    return ended


class Pipeline:
    """Stores the requests of all three signals. Belongs to the event loop that it is started in."""

    def __init__(
        self,
        transform: MakesRows,
        delivery: Delivery,
        health: StoreHealth,
        resends: Resends,
        repeats: Repeats,
        limits: QueueLimits,
        metrics: Metrics,
        bounds: RequestLimits = DEFAULTS,
    ) -> None:
        self._transform = transform
        self._bounds = bounds
        self._delivery = delivery
        self._health = health
        self._resends = resends
        self._repeats = repeats
        self._limits = limits
        self._counts = {signal: metrics.of(signal) for signal in Signal}
        self._queued_bytes = 0
        metrics.queued_bytes.set_function(lambda: self._queued_bytes)
        self._stopping = False
        self._workers = ThreadPoolExecutor(
            len(Signal) * (_IN_WORK + BESIDE_SLOW) + 1, thread_name_prefix="store"
        )
        self._transforms = Turns(TRANSFORMS)
        self._clients = Clients()
        # The batch that is stored alone, of whatever signal.
        self._alone: asyncio.Task[None] | None = None
        self._queues = {signal: SignalQueue(limits, lambda: bool(health.troubles)) for signal in Signal}
        self._under_way: dict[bytes, Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to flush."""
        for signal, queue in self._queues.items():
            self._own(self._flush_forever(signal, queue))

    async def accept(self, signal: Signal, body: bytes, client: bytes = b"") -> Accepted:
        """Store a request as `take` does; return once its records are safe. Raises its Failure."""
        return await awaited(partial(self.take, signal, body, client))

    def take(self, signal: Signal, body: bytes, client: bytes, done: Done) -> None:
        """Store a serialized Export request; `done` is called once its records are committed, or synced in the spool.

        `client` names its sender and connection; clients are served in turn. A failure is Rejected when the request
        must not be sent again, TryLater when it should be.

        Nearly all requests are surveyed and queued here and now. A task for each, and a future to await, would cost as
        much as all else that is done in Python for a small one.
        """
        if self._stopping:
            self._refuse(signal, _stopping(), 1, done)
            return
        if len(body) > _LARGE_BYTES:
            self._own(self._take_slowly(signal, body, client, done))
            return
        begun = time.perf_counter()
        try:
            found = surveyed(signal, body, self._bounds)
        except Rejected as rejected:
            if rejected.reason is Reason.MALFORMED:
                self._own(self._take_slowly(signal, body, client, done))
            else:
                self._refuse(signal, rejected, 1, done)
            return
        self._counts[signal].surveyed(found, len(body), time.perf_counter() - begun)
        self._store(signal, body, found, None, client, done)

    async def _take_slowly(self, signal: Signal, body: bytes, client: bytes, done: Done) -> None:
        """Take a request that is large, or that has to be repaired: what is done with it first is done in a thread."""
        begun = time.perf_counter()
        mended: Repaired | None = None
        try:
            try:
                found = await self._surveyed(signal, body)
            except Rejected as rejected:
                if rejected.reason is not Reason.MALFORMED:
                    raise
                mended = await asyncio.to_thread(repaired, signal, body)
                body, found = mended.body, mended.survey
        except Failure as failure:
            self._refuse(signal, failure, 1, done)  # a request that cannot be read counts as one
        except Exception as error:  # noqa: BLE001  a service edge: the client must be answered whatever broke
            log.error("A request failed in an unforeseen way.", error=type(error).__name__, signal=signal)  # noqa: TRY400
            self._refuse(signal, _broken(), 1, done)
        else:
            self._counts[signal].surveyed(found, len(body), time.perf_counter() - begun)
            self._store(signal, body, found, mended, client, done)

    def _refuse(self, signal: Signal, failure: Failure, records: int, done: Done) -> None:
        self._counts[signal].refused(failure.reason, records)
        done(failure)

    async def _surveyed(self, signal: Signal, body: bytes) -> Survey:
        """Survey a request, a large one in a thread. Raises Rejected when it has too many parts or is malformed."""
        if _LARGE_BYTES < len(body) <= self._limits.queue_bytes:
            if self._queued_bytes + len(body) > self._limits.queue_bytes:
                raise _overloaded()
            self._queued_bytes += len(body)
            try:
                return await asyncio.to_thread(surveyed, signal, body, self._bounds)
            finally:
                self._queued_bytes -= len(body)
        return surveyed(signal, body, self._bounds)

    def _accepted(
        self,
        signal: Signal,
        body: bytes,
        found: Survey,
        stored: int,
        mended: Repaired | None,
        later: Repaired | None,
    ) -> Accepted:
        """Return the answer to a request whose records are safe; count and name what is unusual about it."""
        if not (mended or later or found.untyped_metrics) and (found.records or not body):
            return Accepted(records=stored)
        repairs = [one for one in (mended, later) if one]
        counts = self._counts[signal]
        messages = [repair.message for repair in repairs]
        untyped = found.untyped_metrics
        if untyped:
            counts.refused(Reason.UNTYPED_METRIC, untyped)
            messages.append(f"{untyped} metrics have no data and so no type.")
        elif not found.records and (name := unknown_field(signal, body)):
            counts.refused(Reason.UNKNOWN_FIELDS)
            messages.append(f"No record was found: {name} is not known here.")
        if stored:  # else it was sent before, and counted
            for repair in repairs:
                counts.mended(repair)
        return Accepted(untyped + sum(repair.refused for repair in repairs), "; ".join(messages), stored)

    def hurry(self) -> None:
        """Flush whatever waits, and from now on every request as it comes."""
        for queue in self._queues.values():
            queue.hurry()

    async def stop(self) -> None:
        """Refuse new requests, store those that wait, and return when all are answered."""
        self._stopping = True
        for queue in self._queues.values():
            queue.close()
        while self._tasks:  # a flusher's last act is to make one more
            await asyncio.gather(*self._tasks)
        self._workers.shutdown()

    def _store(
        self, signal: Signal, body: bytes, found: Survey, mended: Repaired | None, client: bytes, done: Done
    ) -> None:
        """Have a request's records stored, unless they are stored already or under way, and call `done`."""
        if not found.records:
            done(self._accepted(signal, body, found, 0, mended, None))
            return
        name = self._resends.name(signal, body)
        if self._resends.knows(name):
            self._counts[signal].resent(found.records)
            done(self._accepted(signal, body, found, 0, mended, None))
            return
        earlier = self._under_way.get(name)

        def end(outcome: Outcome) -> None:
            if isinstance(outcome, Failure):
                self._refuse(signal, outcome, found.records, done)
                return
            stored = 0 if earlier else found.records - (outcome.refused if outcome else 0)
            done(self._accepted(signal, body, found, stored, mended, outcome))

        if earlier is not None:
            self._counts[signal].resent(found.records)
            earlier.ends.append(end)
            return
        try:
            self._enqueue(signal, Waiting(body, found, time.monotonic(), name, client, ends=[end]))
        except Failure as failure:
            self._refuse(signal, failure, found.records, done)

    def _enqueue(self, signal: Signal, waiting: Waiting) -> None:
        body = waiting.body
        if self._stopping:
            raise _stopping()
        if len(body) > self._limits.queue_bytes:
            raise Rejected(
                Reason.TOO_LARGE,
                "The request is larger than the server's whole queue: send smaller batches, or raise"
                " TELEMETRY_QUEUE_BYTES.",
            )
        if self._health.is_full:
            raise full()
        if self._queued_bytes + len(body) > self._limits.queue_bytes:
            raise _overloaded()
        self._queued_bytes += len(body)
        self._queues[signal].add(waiting)
        if waiting.name:
            self._under_way[waiting.name] = waiting

    async def _flush_forever(self, signal: Signal, queue: SignalQueue) -> None:
        """Flush a batch when it is due; while one of the signal is under way, only when the next is full.

        A statement costs much the same for few records as for many. Under load requests therefore gather while
        a batch is stored, and batches grow until they keep up.
        """
        under_way: asyncio.Task[None] | None = None
        working: dict[asyncio.Task[None], float] = {}
        while await queue.due():
            if under_way is not None and not under_way.done():
                await queue.full_or(under_way)
            while not may_begin(working.values(), _IN_WORK):
                await asyncio.wait(working, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            is_one_alone = self._alone is not None and not self._alone.done()
            batch = queue.take(self._clients, is_one_alone=is_one_alone)
            if not batch:  # those that wait are to be stored alone, and one is
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            task = self._own(self._flush(signal, batch))
            if batch[0].is_alone:
                self._alone = task
            else:
                under_way = task
                working[task] = time.monotonic()
                task.add_done_callback(working.pop)

    async def _flush(self, signal: Signal, batch: Batch) -> None:
        """Have a batch stored, and answer its requests."""
        counts = self._counts[signal]
        counts.flushed(sum(len(waiting.body) for waiting in batch), time.monotonic() - batch[0].arrived)
        loop = asyncio.get_running_loop()
        outcomes: Sequence[Outcome]
        try:
            outcomes = await loop.run_in_executor(self._workers, self._commit, signal, batch)
        except Exception as error:  # noqa: BLE001  a service edge: clients must be answered whatever broke
            # Its name alone: a traceback could quote what clients sent.
            log.error(  # noqa: TRY400
                "A batch failed in an unforeseen way.", error=type(error).__name__, signal=signal
            )
            outcomes = [_broken()] * len(batch)
        ended = list(zip(batch, outcomes, strict=True))
        accepted = 0
        stored: list[bytes] = []
        for waiting, outcome in ended:
            self._queued_bytes -= len(waiting.body)
            self._under_way.pop(waiting.name, None)
            if not isinstance(outcome, Failure):
                accepted += waiting.survey.records - (outcome.refused if outcome else 0)
                stored.append(waiting.name)
        counts.accepted(accepted)
        self._resends.learn(stored)
        for number, (waiting, outcome) in enumerate(ended, 1):
            _tell(waiting, outcome)
            if number % _TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _commit(self, signal: Signal, batch: Batch) -> list[Outcome]:
        """Transform and deliver a batch, in a worker thread; return each request's outcome."""
        try:
            blocks = self._rows(signal, batch)
        except Refused as refused:
            return self._commit_apart(signal, batch, refused)
        fresh = self._repeats.without(blocks)
        try:
            failure = self._deliver(signal, batch, fresh)
        except BaseException:
            self._repeats.settle(fresh.claims, stored=False)
            raise
        self._repeats.settle(fresh.claims, stored=failure is None)
        return [failure] * len(batch)

    def _rows(self, signal: Signal, batch: Batch) -> list[Block]:
        """Turn a batch into a block for each of its tables. Raises Refused."""
        tables = sorted({table for waiting in batch for table in waiting.survey.tables})
        with self._transforms.turn(is_alone=batch[0].is_alone), self._counts[signal].transforming():
            blocks = [
                self._transform.run(
                    table,
                    [
                        Surveyed(waiting.body, waiting.survey.tables[table])
                        for waiting in batch
                        if table in waiting.survey.tables
                    ],
                )
                for table in tables
            ]
        seconds = sum(block.tally.seconds for block in blocks)
        self._clients.learn(
            {waiting.client for waiting in batch}, seconds, sum(len(waiting.body) for waiting in batch)
        )
        return blocks

    def _commit_apart(self, signal: Signal, batch: Batch, refused: Refused) -> list[Outcome]:
        """Find the requests for which a batch was refused, repair what can be, and commit all that is left."""
        found: list[Outcome] = (
            [None] * len(batch) if refused.too_large else [_fault(signal, one) for one in batch]
        )
        if not any(found):
            return self._commit_halves(signal, batch, refused)
        # Those that do not parse are found by parsing, any others by bisection.
        rest = [
            _mended(one, fault)
            for one, fault in zip(batch, found, strict=True)
            if not isinstance(fault, Failure)
        ]
        committed = iter(self._commit(signal, rest) if rest else ())
        return [fault if isinstance(fault, Failure) else _both(fault, next(committed)) for fault in found]

    def _commit_halves(self, signal: Signal, batch: Batch, refused: Refused) -> list[Outcome]:
        """Commit a batch that parses and was refused, half by half; encode one request alone again."""
        if len(batch) > 1:
            middle = len(batch) // 2
            return self._commit(signal, batch[:middle]) + self._commit(signal, batch[middle:])
        waiting = batch[0]
        if not refused.too_large:
            body = canonical(signal, waiting.body)
            if body != waiting.body:
                return self._commit(signal, [replace(waiting, body=body)])
        return [_refusal(refused)]

    def _deliver(self, signal: Signal, batch: Batch, fresh: Fresh) -> Failure | None:
        """Deliver a batch's blocks; return what all its requests fail with, None when they are safe."""
        outgoing = [
            Outgoing(block.table, uuid.uuid4().hex, block.rows, block.data)
            for block in fresh.blocks
            if block.data
        ]
        failure = self._delivery.deliver(outgoing, [waiting.name for waiting in batch if waiting.name])
        if failure is None:
            for block in fresh.blocks:
                self._counts[signal].redacted(block.tally)
            self._counts[signal].repeated(fresh.repeated)
        return failure

    def _own(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _fault(signal: Signal, waiting: Waiting) -> Outcome:
    """Return what is wrong with a request inside its attributes: nothing, its repair, or why it cannot be stored."""
    try:
        canonical(signal, waiting.body)
    except Rejected:
        try:
            return repaired(signal, waiting.body)
        except Rejected as malformed:
            return malformed
    return None


def _mended(waiting: Waiting, repair: Repaired | None) -> Waiting:
    return replace(waiting, body=repair.body, survey=repair.survey) if repair else waiting


def _both(first: Repaired | None, then: Outcome) -> Outcome:
    """Return the outcome of a request that was repaired, and committed with `then`."""
    if first is None or isinstance(then, Failure):
        return then
    return first if then is None else first.and_then(then)


def _tell(waiting: Waiting, outcome: Outcome) -> None:
    """Call all that wait for a request's outcome; what breaks for one of them is no matter of the others."""
    for end in waiting.ends:
        try:
            end(outcome)
        except Exception as error:  # noqa: BLE001  a service edge; the text could quote what clients sent
            log.error("A request was not answered.", error=type(error).__name__)  # noqa: TRY400


def _stopping() -> TryLater:
    return TryLater(Reason.STOPPING, "The server is stopping; send again in a moment.", 5)


def _broken() -> TryLater:
    return TryLater(Reason.INTERNAL, "The server failed to store the request; its log says more.")


def _overloaded() -> TryLater:
    return TryLater(
        Reason.OVERLOADED,
        "The server's queue is full; send again later. If it stays so, raise TELEMETRY_QUEUE_BYTES.",
    )


def _refusal(refused: Refused) -> Rejected:
    if refused.too_large:
        return Rejected(
            Reason.TOO_LARGE,
            "The request needs too much memory to be turned into rows; send fewer records at a time.",
        )
    return Rejected(
        Reason.MALFORMED, "The request parses, but cannot be turned into rows; check the exporter."
    )
