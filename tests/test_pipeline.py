"""The ingest path from accept to acknowledgement, with the real transform, engine and tables."""

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clickhouse.columns import STRUCTURES
from clickhouse.engine import Engine
from clickhouse.pieces import Pieces
from clickhouse.store import DailyWriter, EmbeddedWriter, StoreAway
from clickhouse.typed_rows import TypedRows
from clickhouse.varint import varint
from otlp.signals import Signal
from otlp.status import Failure, Reason, Rejected, TryLater
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from receiver.delivery import Delivery
from receiver.disk import Disk
from receiver.inserter import Inserter
from receiver.metrics import Metrics
from receiver.pipeline import Accepted, Pipeline
from receiver.repeats import Repeats
from receiver.replay import Replay
from receiver.resends import Resends
from receiver.scrub import Scrub
from receiver.signal_queue import QueueLimits
from receiver.spool import Spool
from receiver.store_health import StoreHealth
from receiver.transform import Transform
from tests.server import eventually

HUGE = 1 << 40
NEVER = QueueLimits(batch_bytes=HUGE, batch_records=HUGE, batch_age_seconds=3600, queue_bytes=HUGE)
AT_ONCE = QueueLimits(batch_bytes=HUGE, batch_records=HUGE, batch_age_seconds=0.0, queue_bytes=HUGE)
PATIENCE = 20

# Well-formed for the survey, which takes a field of another wire type for an unknown one, and leaves attributes alone.
ENGINE_REFUSES = {
    "an attribute that is none": b"\x4a\x03\xff\xff\xff",
    "an attribute whose value is none": b"\x4a\x06\x0a\x01k\x12\x01\x0a",
}
# Protobuf allows it, and the engine does not until the request is written again.
WRITTEN_ANEW = {
    "a group": b"\x9b\x06\x08\x02\x9c\x06",
    "a number for a name": b"\x28\x03",
    "a number for attributes": b"\x48\x03",
    "a kind of 40 bits": b"\x30\x81\x80\x80\x80\x80\x20",
    "a truth value of 77": b"\x4a\x07\x0a\x01k\x12\x02\x10\x4d",
    "two members of a oneof": b"\x4a\x0a\x0a\x01k\x12\x05\x18\x04\x0a\x01s",
}


class RecordingWriter:
    """The real writer; it remembers what was inserted, can be held before an insert, and can fail."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = DailyWriter(TypedRows(EmbeddedWriter(engine), engine), engine)
        self.tables: list[str] = []
        self.tokens: list[str] = []
        self.failures = 0
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def insert(self, table: str, block: Pieces, token: str) -> None:
        self.entered.set()
        if not self.open.wait(PATIENCE):
            raise AssertionError("the event loop did not turn while an insert was under way")
        if self.failures:
            self.failures -= 1
            raise StoreAway(f"Inserting into {table} failed: NETWORK_ERROR (code 210)", "NETWORK_ERROR")
        self._writer.insert(table, block, token)
        self.tables.append(table)
        self.tokens.append(token)

    def close(self) -> None:
        self._writer.close()


class Subject:
    """A pipeline under test and its surroundings."""

    def __init__(
        self, transform: Transform, writer: RecordingWriter, limits: QueueLimits, data: Path
    ) -> None:
        self.writer = writer
        self.metrics = Metrics()
        self.spool = Spool(data, HUGE)
        self.spool.open()
        resends = Resends(3600)
        self.health = StoreHealth(self.spool, self.metrics)
        self.disk = Disk(self.spool, resends, self.metrics)
        self.inserter = Inserter(writer, self.health, self.metrics, PATIENCE)
        delivery = Delivery(self.inserter, self.health, self.disk)
        repeats = Repeats(writer.engine, None, 0)
        self.pipeline = Pipeline(transform, delivery, self.health, resends, repeats, limits, self.metrics)

    def send(self, body: bytes, signal: Signal = Signal.TRACES) -> asyncio.Task[Accepted]:
        return asyncio.create_task(self.pipeline.accept(signal, body))

    async def outcomes(self, *bodies: bytes) -> list[Accepted | BaseException]:
        tasks = [self.send(body) for body in bodies]
        async with asyncio.timeout(PATIENCE):
            return await asyncio.gather(*tasks, return_exceptions=True)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"telemetry_{name}", labels) or 0.0

    @contextmanager
    def replaying(self) -> Iterator[None]:
        parts = self.inserter, self.health, self.disk
        replay = Replay(self.spool, *parts, self.metrics, STRUCTURES)
        replay.start()
        try:
            yield
        finally:
            replay.stop()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110  what is waited for knows nothing of events
                await asyncio.sleep(0)


class CountedScrub(Scrub):
    """Counts the tallies that are open."""

    open = 0

    def begin(self) -> int:
        self.open += 1
        return super().begin()

    def end(self, statement: int) -> None:
        super().end(statement)
        self.open -= 1


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements that the transform keeps open, as the engine lists them; others' are left out."""

    engine: Engine
    others: frozenset[str]

    @staticmethod
    def ids(engine: Engine, message: str = "") -> frozenset[str]:
        """Return the ids of all open statements that read a message of OTLP."""
        found = engine.rows(
            "SELECT query_id FROM system.processes"
            " WHERE position(query, {schema:String}) > 0 AND query_id != queryID()",
            {"schema": f"otlp.proto:{message}"},
        )
        return frozenset(row[0] for row in found)

    def open(self, message: str = "") -> frozenset[str]:
        """Return the ids of this test's records."""
        return self.ids(self.engine, message) - self.others

    def kill(self, message: str) -> int:
        """Have the engine stop those that wait for a message; return how many there were."""
        found = sorted(self.open(message))
        self.engine.command("KILL QUERY WHERE query_id IN {ids:Array(String)} ASYNC", {"ids": found})
        return len(found)


@pytest.fixture(scope="module")
def statements(engine: Engine) -> Statements:
    return Statements(engine, Statements.ids(engine))


@pytest.fixture(scope="module")
def scrub() -> CountedScrub:
    return CountedScrub(Sanitizer(load_rules(None, Level.strict), None))


@pytest.fixture(scope="module")
def transform(engine: Engine, statements: Statements, scrub: CountedScrub) -> Transform:
    """Open the transform after what others have open was looked at."""
    assert statements.open() == frozenset()
    return Transform(engine, load_rules(None, Level.strict), scrub, "", 90)


@pytest.fixture
def writer(engine: Engine) -> RecordingWriter:
    return RecordingWriter(engine)


@pytest.fixture
def run(
    transform: Transform,
    writer: RecordingWriter,
    tmp_path: Path,
    statements: Statements,
    scrub: CountedScrub,
) -> Iterator[Callable[..., None]]:
    """Run a scenario against a started pipeline; afterwards nothing is queued and no tally is left open."""

    def scenario(limits: QueueLimits, play: Callable[[Subject], Awaitable[None]]) -> None:
        async def main() -> None:
            async with _running(Subject(transform, writer, limits, tmp_path)) as subject:
                await play(subject)
            assert subject.count("queued_bytes") == 0
            eventually(lambda: len(statements.open()) == scrub.open)

        asyncio.run(main())

    yield scenario
    writer.open.set()


@asynccontextmanager
async def _running(subject: Subject) -> AsyncIterator[Subject]:
    subject.pipeline.start()
    try:
        yield subject
    finally:
        subject.writer.open.set()
        await subject.pipeline.stop()
        # Tasks that stop leaves to the loop's next turns.
        await subject.until(lambda: len(asyncio.all_tasks()) == 1)


def spans(*names: str, trace: bytes | None = None, extra: bytes = b"") -> bytes:
    """Build a request with a span for each name; `extra` is appended to the last span as it is."""
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add().scope_spans.add().spans
    now = time.time_ns()
    for name in names:
        made.add(
            name=name,
            trace_id=trace or uuid.uuid4().bytes,
            start_time_unix_nano=now,
            end_time_unix_nano=now + 5,
        )
    if not extra:
        return request.SerializeToString()
    last = made.pop().SerializeToString() + extra
    scope = request.resource_spans[0].scope_spans[0].SerializeToString() + _field(2, last)
    return _field(1, _field(2, scope))


def _field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def metrics(*points: str, untyped: int = 0) -> bytes:
    """Build a request with a metric of each kind named, one data point each, and some of no type."""
    request = ExportMetricsServiceRequest()
    made = request.resource_metrics.add().scope_metrics.add().metrics
    for kind in points:
        getattr(made.add(name=f"a {kind}"), kind).data_points.add(time_unix_nano=time.time_ns())
    for _ in range(untyped):
        made.add(name="no type")
    return request.SerializeToString()


def stored(engine: Engine, trace: bytes) -> list[str]:
    rows = engine.rows(
        "SELECT SpanName FROM otel_traces WHERE TraceId = {trace:String} ORDER BY SpanName",
        {"trace": trace.hex()},
    )
    return [name for (name,) in rows]


@pytest.fixture
def trace() -> bytes:
    return uuid.uuid4().bytes


def test_a_request_is_acknowledged_after_its_insert_and_not_before(
    engine: Engine, writer: RecordingWriter, trace: bytes, run: Callable[..., None]
) -> None:
    """Acknowledged means stored."""

    async def play(subject: Subject) -> None:
        writer.open.clear()
        task = subject.send(spans("held", trace=trace))
        await subject.until(writer.entered.is_set)
        assert not task.done()
        assert stored(engine, trace) == []
        writer.open.set()
        assert await task == Accepted()
        assert stored(engine, trace) == ["held"]

    run(AT_ONCE, play)


def test_a_batch_is_flushed_when_it_holds_enough_records(
    engine: Engine, writer: RecordingWriter, trace: bytes, run: Callable[..., None]
) -> None:
    """Neither its bytes nor its age would have flushed it; its requests are inserted as one block."""

    async def play(subject: Subject) -> None:
        first = subject.send(spans("a", "b", trace=trace))
        second = subject.send(spans("c", trace=trace))
        await subject.until(lambda: subject.count("received_records_total", signal="traces") == 3)
        assert not first.done()
        assert not second.done()
        assert await subject.outcomes(spans("d", trace=trace)) == [Accepted()]
        assert [await first, await second] == [Accepted(), Accepted()]
        assert writer.tables == ["otel_traces"]
        assert stored(engine, trace) == ["a", "b", "c", "d"]

    run(QueueLimits(HUGE, 4, 3600, HUGE), play)


def test_a_batch_is_flushed_when_it_holds_enough_bytes(
    engine: Engine, writer: RecordingWriter, trace: bytes, run: Callable[..., None]
) -> None:
    """Neither its records nor its age would have flushed it."""
    bodies = [spans(name, trace=trace) for name in "abc"]

    async def play(subject: Subject) -> None:
        assert await subject.outcomes(*bodies) == [Accepted()] * 3
        assert writer.tables == ["otel_traces"]
        assert stored(engine, trace) == ["a", "b", "c"]

    run(QueueLimits(sum(map(len, bodies)), HUGE, 3600, HUGE), play)


def test_a_batch_is_flushed_when_its_oldest_request_has_waited_long_enough(
    engine: Engine, writer: RecordingWriter, trace: bytes, run: Callable[..., None]
) -> None:
    """Neither its bytes nor its records would have flushed it."""

    async def play(subject: Subject) -> None:
        began = time.monotonic()
        assert await subject.outcomes(*(spans(name, trace=trace) for name in "abc")) == [Accepted()] * 3
        assert time.monotonic() - began >= 0.1
        assert writer.tables == ["otel_traces"]
        assert stored(engine, trace) == ["a", "b", "c"]

    run(QueueLimits(HUGE, HUGE, 0.1, HUGE), play)


def test_a_request_larger_than_a_batch_is_a_batch_of_its_own(
    engine: Engine, writer: RecordingWriter, trace: bytes, run: Callable[..., None]
) -> None:
    """A batch takes at least one request, and no more than its limits allow."""

    async def play(subject: Subject) -> None:
        bodies = [spans("a", "b", "c", trace=trace), spans("d", trace=trace), spans("e", trace=trace)]
        assert await subject.outcomes(*bodies) == [Accepted()] * 3
        assert writer.tables == ["otel_traces"] * 2
        assert stored(engine, trace) == ["a", "b", "c", "d", "e"]

    run(QueueLimits(HUGE, 2, 3600, HUGE), play)


def test_every_block_has_a_token_of_its_own(writer: RecordingWriter, run: Callable[..., None]) -> None:
    """Two blocks are never taken for one."""

    async def play(subject: Subject) -> None:
        for _ in range(2):
            body = metrics("gauge", "sum", "summary", "histogram", "exponential_histogram")
            assert await subject.send(body, Signal.METRICS) == Accepted()
        tables = ["exp_histogram", "gauge", "histogram", "sum", "summary"]
        assert writer.tables == [f"otel_metrics_{table}" for table in tables] * 2
        assert len(set(writer.tokens)) == 10

    run(AT_ONCE, play)


@pytest.mark.parametrize("extra", ENGINE_REFUSES.values(), ids=ENGINE_REFUSES.keys())
def test_what_the_engine_alone_refuses_is_refused_alone(
    engine: Engine, trace: bytes, run: Callable[..., None], extra: bytes
) -> None:
    """Its neighbours in the batch are stored, each once."""

    async def play(subject: Subject) -> None:
        found = await subject.outcomes(
            spans("a", trace=trace),
            spans("b", trace=trace),
            spans("poor", trace=trace, extra=extra),
            spans("c", trace=trace),
            spans("d", trace=trace),
        )
        refused = found.pop(2)
        assert found == [Accepted()] * 4
        assert isinstance(refused, Rejected)
        assert refused.reason is Reason.MALFORMED
        assert stored(engine, trace) == ["a", "b", "c", "d"]
        assert subject.count("accepted_records_total", signal="traces") == 4
        assert subject.count("refused_records_total", signal="traces", reason="malformed") == 1
        assert subject.count("inserted_rows_total", table="otel_traces") == 4

    run(QueueLimits(HUGE, 5, 3600, HUGE), play)


@pytest.mark.parametrize("extra", WRITTEN_ANEW.values(), ids=WRITTEN_ANEW.keys())
def test_what_protobuf_allows_is_written_anew_for_the_engine(
    engine: Engine, trace: bytes, run: Callable[..., None], extra: bytes
) -> None:
    """It is stored after all, and so are its neighbours, each once."""

    async def play(subject: Subject) -> None:
        found = await subject.outcomes(
            spans("a", trace=trace),
            spans("poor", trace=trace, extra=extra),
            spans("b", trace=trace),
        )
        assert found == [Accepted()] * 3
        assert stored(engine, trace) == ["a", "b", "poor"]

    run(QueueLimits(HUGE, 3, 3600, HUGE), play)


def test_what_is_repaired_in_a_batch_is_told_to_its_client(
    engine: Engine, trace: bytes, run: Callable[..., None]
) -> None:
    """And is stored, while others of the batch hear nothing of it."""

    async def play(subject: Subject) -> None:
        latin = b"\x4a\x08\x0a\x01k\x12\x03\x0a\x01\xff"
        found = await subject.outcomes(
            spans("a", trace=trace), spans("poor", trace=trace, extra=latin), spans("b", trace=trace)
        )
        assert found == [
            Accepted(),
            Accepted(0, "places that are not UTF-8, stored as U+FFFD: 1"),
            Accepted(),
        ]
        assert stored(engine, trace) == ["a", "b", "poor"]
        assert subject.count("odd_records_total", kind="invalid_utf8") == 1

    run(QueueLimits(HUGE, 3, 3600, HUGE), play)


def test_a_batch_of_bad_requests_is_refused_one_by_one(
    trace: bytes, engine: Engine, run: Callable[..., None]
) -> None:
    """Bisection ends, and nothing is stored."""

    async def play(subject: Subject) -> None:
        found = await subject.outcomes(
            *(spans(name, trace=trace, extra=b"\x4a\x03\xff\xff\xff") for name in "abc")
        )
        assert [type(failure) for failure in found] == [Rejected] * 3
        assert stored(engine, trace) == []
        assert subject.count("refused_records_total", signal="traces", reason="malformed") == 3
        assert subject.count("received_records_total", signal="traces") == 3

    run(QueueLimits(HUGE, 3, 3600, HUGE), play)


def test_a_malformed_request_is_refused_before_it_is_queued(run: Callable[..., None]) -> None:
    """It counts as one record, since its records cannot be counted."""

    async def play(subject: Subject) -> None:
        with pytest.raises(Rejected) as caught:
            await subject.send(b"\xff")
        assert caught.value.reason is Reason.MALFORMED
        assert subject.count("refused_records_total", signal="traces", reason="malformed") == 1
        assert subject.count("received_records_total", signal="traces") == 0

    run(NEVER, play)


def test_an_engine_error_that_is_not_the_requests_fault_refuses_none(
    engine: Engine, statements: Statements, trace: bytes, run: Callable[..., None]
) -> None:
    """Clients are told to try again, and the next batch is stored."""

    async def play(subject: Subject) -> None:
        # Opens a statement, where an earlier test has left none.
        assert await subject.outcomes(spans("before"), spans("before")) == [Accepted()] * 2
        killed = statements.kill("TracesData")
        assert killed > 0
        for _ in range(killed):  # each is taken once, and never again
            found = await subject.outcomes(spans("a", trace=trace), spans("b", trace=trace))
            assert [type(failure) for failure in found] == [TryLater] * 2
            assert {failure.reason for failure in found if isinstance(failure, Failure)} == {Reason.INTERNAL}
        assert subject.count("accepted_records_total", signal="traces") == 2
        assert subject.count("refused_records_total", signal="traces", reason="internal") == 2 * killed
        assert subject.count("refused_records_total", signal="traces", reason="malformed") == 0
        assert stored(engine, trace) == []
        assert await subject.outcomes(spans("a", trace=trace), spans("b", trace=trace)) == [Accepted()] * 2
        assert stored(engine, trace) == ["a", "b"]

    run(QueueLimits(HUGE, 2, 3600, HUGE), play)


def test_a_store_that_fails_has_its_batch_kept_and_acknowledged(
    engine: Engine, writer: RecordingWriter, trace: bytes, run: Callable[..., None]
) -> None:
    """The block waits on disk, under the token that it was tried with, until replay inserts it."""

    async def play(subject: Subject) -> None:
        writer.failures = 1
        bodies = [spans("a", trace=trace), spans("b", trace=trace)]
        assert await subject.outcomes(*bodies) == [Accepted()] * 2
        assert subject.count("insert_errors_total", table="otel_traces", reason="NETWORK_ERROR") == 1
        labels = {"table": "otel_traces", "reason": "NETWORK_ERROR"}
        assert subject.count("spooled_blocks_total", **labels) == 1
        assert subject.count("spooled_records_total", **labels) == 2
        assert subject.count("accepted_records_total", signal="traces") == 2
        assert subject.count("inserted_rows_total", table="otel_traces") == 0
        assert stored(engine, trace) == []
        with subject.replaying():
            await subject.until(lambda: subject.count("replayed_records_total", table="otel_traces") == 2)
        assert stored(engine, trace) == ["a", "b"]
        assert subject.count("inserted_rows_total", table="otel_traces") == 2
        assert subject.spool.tables() == []

    run(QueueLimits(HUGE, 2, 3600, HUGE), play)


def test_a_block_that_is_refused_for_good_is_a_dead_letter_and_acknowledged(
    engine: Engine, trace: bytes, run: Callable[..., None], tmp_path: Path
) -> None:
    """A table that does not exist takes no block, after any number of tries."""

    async def play(subject: Subject) -> None:
        engine.command("RENAME TABLE otel_traces TO otel_traces_away")
        try:
            assert await subject.outcomes(spans("a", trace=trace)) == [Accepted()]
        finally:
            engine.command("RENAME TABLE otel_traces_away TO otel_traces")
        labels = {"table": "otel_traces", "reason": "UNKNOWN_TABLE"}
        assert subject.count("dead_letter_blocks_total", **labels) == 1
        assert subject.count("dead_letter_records_total", **labels) == 1
        (letter,) = (tmp_path / "dead-letter").iterdir()
        assert letter.name.endswith(".00.otel_traces.UNKNOWN_TABLE.block")
        assert letter.stat().st_mode & 0o777 == 0o600
        letter.rename(tmp_path / "spool/returned" / letter.name)
        with subject.replaying():
            await subject.until(lambda: stored(engine, trace) == ["a"])

    run(AT_ONCE, play)


def test_a_request_that_is_resent_is_stored_once(
    engine: Engine, writer: RecordingWriter, trace: bytes, run: Callable[..., None]
) -> None:
    """While the first one is under way, when its client has gone away, and afterwards; all hear success."""
    body = spans("once", trace=trace)

    async def play(subject: Subject) -> None:
        writer.open.clear()
        gone = subject.send(body)
        await subject.until(writer.entered.is_set)
        gone.cancel()
        again = subject.send(body)
        await subject.until(lambda: subject.count("resent_records_total", signal="traces") == 1)
        writer.open.set()
        assert await again == Accepted()
        assert await subject.send(body) == Accepted()
        assert stored(engine, trace) == ["once"]
        assert subject.count("resent_records_total", signal="traces") == 2
        assert subject.count("received_records_total", signal="traces") == 3
        assert subject.count("accepted_records_total", signal="traces") == 1

    run(AT_ONCE, play)


def test_a_resent_request_of_untyped_metrics_is_answered_as_the_first(run: Callable[..., None]) -> None:
    """Its partial success says the same."""
    body = metrics("gauge", untyped=2)

    async def play(subject: Subject) -> None:
        first = await subject.send(body, Signal.METRICS)
        assert first.rejected == 2
        assert await subject.send(body, Signal.METRICS) == first
        assert subject.count("inserted_rows_total", table="otel_metrics_gauge") == 1

    run(AT_ONCE, play)


def test_requests_past_the_memory_budget_are_told_to_try_later(
    engine: Engine, writer: RecordingWriter, trace: bytes, run: Callable[..., None]
) -> None:
    """The budget is given back when the waiting requests are stored."""
    first, second = spans("a", trace=trace), spans("b", trace=trace)

    async def play(subject: Subject) -> None:
        writer.open.clear()
        waiting = subject.send(first)
        await subject.until(writer.entered.is_set)
        assert subject.count("queued_bytes") == len(first)
        with pytest.raises(TryLater) as caught:
            await subject.send(second)
        assert caught.value.reason is Reason.OVERLOADED
        assert "TELEMETRY_QUEUE_BYTES" in caught.value.message
        assert subject.count("queued_bytes") == len(first)
        assert subject.count("refused_records_total", signal="traces", reason="overloaded") == 1
        writer.open.set()
        assert await waiting == Accepted()
        assert subject.count("queued_bytes") == 0
        assert await subject.send(second) == Accepted()
        assert stored(engine, trace) == ["a", "b"]

    run(QueueLimits(HUGE, HUGE, 0.0, len(first) + len(second) - 1), play)


def test_a_client_that_goes_away_loses_no_record_and_leaks_no_budget(
    engine: Engine, writer: RecordingWriter, trace: bytes, run: Callable[..., None]
) -> None:
    """Its bytes count until its batch is stored, since they are in memory until then."""
    body = spans("left behind", trace=trace)

    async def play(subject: Subject) -> None:
        writer.open.clear()
        task = subject.send(body)
        await subject.until(writer.entered.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert subject.count("queued_bytes") == len(body)
        writer.open.set()
        await subject.until(lambda: subject.count("queued_bytes") == 0)
        assert stored(engine, trace) == ["left behind"]

    run(AT_ONCE, play)


def test_a_client_that_goes_away_before_the_flush_does_not_hold_up_its_batch(
    engine: Engine, trace: bytes, run: Callable[..., None]
) -> None:
    """The request that was sent is stored with its neighbours."""

    async def play(subject: Subject) -> None:
        gone = subject.send(spans("gone", trace=trace))
        await subject.until(lambda: subject.count("queued_bytes") > 0)
        gone.cancel()
        assert await subject.outcomes(spans("stays", trace=trace)) == [Accepted()]
        assert stored(engine, trace) == ["gone", "stays"]

    run(QueueLimits(HUGE, 2, 3600, HUGE), play)


def test_stopping_stores_and_answers_what_waits(
    engine: Engine, trace: bytes, run: Callable[..., None]
) -> None:
    """No limit would have flushed it. Every signal is drained, and later requests are told to try again."""

    async def play(subject: Subject) -> None:
        tasks = [subject.send(spans(name, trace=trace)) for name in "abc"]
        tasks.append(subject.send(metrics("gauge"), Signal.METRICS))
        await subject.until(lambda: subject.count("received_records_total", signal="metrics") == 1)
        async with asyncio.timeout(PATIENCE):
            await subject.pipeline.stop()
            assert await asyncio.gather(*tasks) == [Accepted()] * 4
        assert stored(engine, trace) == ["a", "b", "c"]
        with pytest.raises(TryLater) as caught:
            await subject.send(spans("late", trace=trace))
        assert caught.value.reason is Reason.STOPPING
        assert stored(engine, trace) == ["a", "b", "c"]

    run(NEVER, play)


def test_stopping_lets_the_loop_turn_and_returns_when_all_are_answered(
    writer: RecordingWriter, run: Callable[..., None]
) -> None:
    """Other clients are answered, and probes too, while the last batch is inserted."""

    async def play(subject: Subject) -> None:
        writer.open.clear()
        task = subject.send(spans("last"))
        await subject.until(lambda: subject.count("queued_bytes") > 0)
        opener = threading.Timer(
            3, writer.open.set
        )  # so that a loop that stands still fails and does not hang
        opener.start()
        try:
            stopping = asyncio.create_task(subject.pipeline.stop())
            await subject.until(writer.entered.is_set)
            assert not writer.open.is_set()
            await asyncio.wait([stopping, task], timeout=0.05)
            assert not writer.open.is_set(), "the event loop stood still during the last insert"
            assert not stopping.done()
            writer.open.set()
            await stopping
            assert subject.count("queued_bytes") == 0
        finally:
            opener.cancel()
            opener.join()

    run(NEVER, play)


def test_a_request_refused_while_stopping_is_counted(run: Callable[..., None]) -> None:
    """Nothing is dropped uncounted."""

    async def play(subject: Subject) -> None:
        await subject.pipeline.stop()
        with pytest.raises(TryLater):
            await subject.send(spans("late"))
        assert subject.count("refused_records_total", signal="traces", reason="stopping") == 1

    run(NEVER, play)


def test_metrics_without_a_type_are_refused_alone(run: Callable[..., None]) -> None:
    """A partial success says how many and why; the others are stored."""

    async def play(subject: Subject) -> None:
        accepted = await subject.send(metrics("gauge", "sum", untyped=3), Signal.METRICS)
        assert accepted == Accepted(3, "3 metrics have no data and so no type.")
        assert subject.count("received_records_total", signal="metrics") == 5
        assert subject.count("accepted_records_total", signal="metrics") == 2
        assert subject.count("refused_records_total", signal="metrics", reason="untyped_metric") == 3
        assert subject.count("inserted_rows_total", table="otel_metrics_gauge") == 1
        assert subject.count("inserted_rows_total", table="otel_metrics_sum") == 1

    run(AT_ONCE, play)


def test_a_request_of_untyped_metrics_alone_waits_for_nothing(run: Callable[..., None]) -> None:
    """There is nothing to store, so the answer comes without a batch."""

    async def play(subject: Subject) -> None:
        accepted = await subject.send(metrics(untyped=1), Signal.METRICS)
        assert accepted.rejected == 1
        assert await subject.send(b"", Signal.METRICS) == Accepted()

    run(NEVER, play)


def test_what_was_done_to_the_records_is_counted_once(
    engine: Engine, trace: bytes, run: Callable[..., None]
) -> None:
    """Bytes, records, rows, redactions and oddities, over a batch that was bisected."""
    bodies = [
        spans("ask jane.doe@example.com or bob@corp.example", trace=trace),
        spans("poor jane.doe@example.com", trace=trace, extra=b"\x4a\x03\xff\xff\xff"),
        spans("plain", trace=trace),
    ]

    async def play(subject: Subject) -> None:
        await subject.outcomes(*bodies)
        assert subject.count("received_bytes_total", signal="traces") == sum(map(len, bodies))
        assert subject.count("received_records_total", signal="traces") == 3
        assert subject.count("accepted_records_total", signal="traces") == 2
        assert subject.count("inserted_rows_total", table="otel_traces") == 2
        assert subject.count("redactions_total", rule="email") == 2
        assert subject.count("batch_bytes_count", signal="traces") == 1
        assert not [name for name in stored(engine, trace) if "jane" in name or "bob" in name]

    run(QueueLimits(HUGE, 3, 3600, HUGE), play)


def test_rows_past_the_retention_and_spans_that_end_before_they_start_are_counted(
    engine: Engine, trace: bytes, run: Callable[..., None]
) -> None:
    """The engine drops rows past their TTL without a word; the sender can find out why."""
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add().scope_spans.add().spans
    now = time.time_ns()
    for days in (0, 1, 92, 400):
        made.add(name=f"{days} days", trace_id=trace, start_time_unix_nano=now - days * 86_400 * 10**9,
                 end_time_unix_nano=now)  # fmt: skip
    made.add(name="backwards", trace_id=trace, start_time_unix_nano=now, end_time_unix_nano=now - 1)

    async def play(subject: Subject) -> None:
        assert await subject.send(request.SerializeToString()) == Accepted()
        assert subject.count("odd_records_total", kind="past_retention") == 2
        assert subject.count("odd_records_total", kind="span_ends_before_start") == 1
        assert {"0 days", "1 days", "backwards"} <= set(stored(engine, trace))

    run(AT_ONCE, play)
