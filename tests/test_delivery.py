"""From a batch to an answer: blocks are committed, kept or refused, and a failing store is left alone for a time."""

import gc
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from clickhouse.columns import STRUCTURES
from clickhouse.endpoint import ServerEndpoint
from clickhouse.pieces import Pieces
from clickhouse.remote import ServerWriter
from clickhouse.store import BlockRefused, StoreAway
from otlp.status import Reason, TryLater
from receiver.block_file import Outgoing
from receiver.circuit import Circuit
from receiver.delivery import Delivery
from receiver.disk import Disk
from receiver.inserter import Inserter
from receiver.metrics import Metrics
from receiver.replay import Replay
from receiver.resends import Resends
from receiver.spool import Spool
from receiver.store_health import StoreHealth
from tests.server import eventually

MANY = 1 << 30
REFUSED = StoreAway("Inserting failed: CONNECTION_REFUSED", "CONNECTION_REFUSED", whole=True)
TOO_MANY = StoreAway("Inserting failed: TOO_MANY_PARTS (code 252)", "TOO_MANY_PARTS")
MISMATCH = BlockRefused("Inserting failed: TYPE_MISMATCH (code 53)", "TYPE_MISMATCH")


class ScriptedWriter:
    """A store whose tables answer as the test tells them; it remembers the blocks that it took, by token."""

    def __init__(self) -> None:
        self.faults: dict[str, Exception] = {}
        self.tried: list[str] = []
        self.taken: dict[str, bytes] = {}
        self.hanging = threading.Event()

    def insert(self, table: str, block: Pieces, token: str) -> None:
        self.tried.append(token)
        if table == "hangs":
            self.hanging.wait(60)
        if fault := self.faults.get(table):
            raise fault
        self.taken[token] = bytes(block)

    def close(self) -> None:
        pass


class Subject:
    """A delivery and its surroundings."""

    def __init__(self, data: Path, bound: int = MANY, seconds: float = 20) -> None:
        self.data = data
        self.writer = ScriptedWriter()
        self.metrics = Metrics()
        self.spool = Spool(data, bound)
        self.spool.open()
        self.resends = Resends(900, data / "requests.log")
        self.resends.open()
        self.health = StoreHealth(self.spool, self.metrics)
        self.disk = Disk(self.spool, self.resends, self.metrics)
        self.inserter = Inserter(self.writer, self.health, self.metrics, seconds)
        self.delivery = Delivery(self.inserter, self.health, self.disk)

    def deliver(self, *blocks: Outgoing, requests: tuple[bytes, ...] = ()) -> object:
        return self.delivery.deliver(blocks, requests)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"telemetry_{name}", labels) or 0.0

    @contextmanager
    def replaying(self, *tables: str) -> Iterator[None]:
        parts = self.inserter, self.health, self.disk
        replay = Replay(self.spool, *parts, self.metrics, tables or STRUCTURES)
        replay.start()
        try:
            yield
        finally:
            replay.stop()

    def files(self) -> list[str]:
        folders = ("spool/batches", "dead-letter", "spool/corrupt")
        return sorted(path.name for folder in folders for path in (self.data / folder).rglob("*.block"))


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[Subject]:
    made = Subject(tmp_path)
    yield made
    made.writer.hanging.set()
    made.resends.close()


def block(token: str, table: str = "otel_logs", size: int = 100) -> Outgoing:
    return Outgoing(table, token, 2, Pieces([token.encode() * size]))


@pytest.mark.parametrize("is_there", [False, True], ids=["refused", "closed"])
def test_a_failed_insert_holds_its_block_no_longer(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    is_there: bool,  # noqa: FBT001
) -> None:
    """It is megabytes, and an outage can be long: it must not wait for the collector's next turn."""
    for logger in ("clickhouse_connect", "urllib3"):
        caplog.set_level("CRITICAL", logger=logger)  # captured variables are held too
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if is_there:
        threading.Thread(target=_close_each, args=(listener,), daemon=True).start()
    else:
        listener.close()
    subject = Subject(tmp_path)
    endpoint = ServerEndpoint(f"http://127.0.0.1:{port}", "writer", "hunter2", "telemetry")
    writer = ServerWriter(endpoint, lambda _: None)
    inserter = Inserter(writer, subject.health, subject.metrics, 20)
    delivery = Delivery(inserter, subject.health, subject.disk)
    gc.collect()
    gc.disable()
    try:
        assert delivery.deliver([block("failed")], []) is None
        held = {bytes(one) for one in gc.get_objects() if isinstance(one, Pieces)}
        assert bytes(block("failed").data) not in held  # other tests may have left theirs
    finally:
        gc.enable()
        listener.close()
    assert subject.health.troubles == {"all": "CUT_OFF" if is_there else "CONNECTION_REFUSED"}


def _close_each(listener: socket.socket) -> None:
    with suppress(OSError):
        while True:
            listener.accept()[0].close()


def test_what_is_committed_leaves_the_disk_and_is_known_again(subject: Subject) -> None:
    """Its requests are in the log before its files are gone."""
    name = b"0123456789abcdef"
    assert subject.deliver(block("a"), block("b", "otel_traces"), requests=(name,)) is None
    assert list(subject.writer.taken) == ["a", "b"]
    assert subject.files() == []
    again = Resends(900, subject.data / "requests.log")
    again.open()
    assert again.knows(name)
    again.close()


def test_after_a_failure_of_the_store_nothing_is_tried_until_replay_finds_it_well(subject: Subject) -> None:
    """One client waits for the failure, no other; all are acknowledged, and all blocks arrive, the oldest first."""
    subject.writer.faults = {"otel_logs": REFUSED, "otel_traces": REFUSED}
    tokens = ["a", "b", "c"]
    assert subject.deliver(block("a"), block("d", "otel_traces")) is None
    for token in ("b", "c"):
        assert subject.deliver(block(token)) is None
    assert subject.writer.tried == ["a"]
    assert subject.health.troubles == {"all": "CONNECTION_REFUSED"}
    assert subject.count("spooled_blocks_total", table="otel_logs", reason="CONNECTION_REFUSED") == 3
    subject.writer.faults = {}
    with subject.replaying():
        eventually(lambda: not subject.spool.tables())
    assert [token for token in subject.writer.taken if token in tokens] == tokens
    assert subject.writer.taken == {name: name.encode() * 100 for name in "abcd"}
    assert subject.health.troubles == {}
    assert subject.deliver(block("e")) is None
    assert "e" in subject.writer.taken
    assert subject.files() == []


def test_a_table_that_fails_stops_no_other(subject: Subject) -> None:
    """Neither in a batch nor afterwards."""
    subject.writer.faults = {"otel_metrics_gauge": TOO_MANY}
    assert subject.deliver(block("gauge", "otel_metrics_gauge"), block("sum", "otel_metrics_sum")) is None
    assert list(subject.writer.taken) == ["sum"]
    with subject.replaying():
        assert subject.deliver(block("logs")) is None
        assert "logs" in subject.writer.taken
        assert subject.health.troubles == {"otel_metrics_gauge": "TOO_MANY_PARTS"}
        subject.writer.faults = {}
        eventually(lambda: "gauge" in subject.writer.taken)
    assert subject.files() == []


def test_a_table_that_hangs_holds_up_its_own_batch_for_a_time_and_no_other(tmp_path: Path) -> None:
    """The batch goes to the spool when its time is over, even while the driver waits."""
    subject = Subject(tmp_path, seconds=0.2)
    try:
        assert subject.deliver(block("a", "hangs")) is None
        assert subject.health.troubles == {"hangs": "NO_ANSWER"}
        assert subject.deliver(block("b", "hangs")) is None
        assert subject.writer.tried == ["a"]
        with subject.replaying("hangs", "otel_logs"):
            assert subject.deliver(block("c")) is None
            assert subject.writer.taken["c"]
            subject.writer.hanging.set()
            eventually(lambda: not subject.spool.tables())
        assert subject.writer.taken.keys() == {"a", "b", "c"}
    finally:
        subject.writer.hanging.set()
        subject.resends.close()


def test_a_hurry_ends_the_wait_for_what_is_under_way(subject: Subject) -> None:
    """It is kept, and so are the blocks after it."""
    outcomes: list[object] = []
    thread = threading.Thread(target=lambda: outcomes.append(subject.deliver(block("a", "hangs"))))
    thread.start()
    eventually(lambda: subject.writer.tried == ["a"])
    subject.inserter.hurry()
    thread.join(180)
    assert outcomes == [None]
    assert subject.deliver(block("b")) is None
    assert subject.writer.tried == ["a"]
    assert subject.spool.count("hangs") == subject.spool.count("otel_logs") == 1
    assert subject.health.troubles == {}


def test_a_block_refused_for_good_is_a_dead_letter_its_batch_is_not(subject: Subject) -> None:
    """It is counted by its reason, and blocks nothing."""
    subject.writer.faults = {"otel_metrics_gauge": MISMATCH}
    assert subject.deliver(block("gauge", "otel_metrics_gauge"), block("sum", "otel_metrics_sum")) is None
    assert list(subject.writer.taken) == ["sum"]
    (letter,) = subject.files()
    assert letter.endswith(".00.otel_metrics_gauge.TYPE_MISMATCH.block")
    labels = {"table": "otel_metrics_gauge", "reason": "TYPE_MISMATCH"}
    assert subject.count("dead_letter_blocks_total", **labels) == 1
    assert subject.count("dead_letter_records_total", **labels) == 2
    assert subject.health.troubles == {}


def test_a_block_refused_in_replay_lets_the_next_one_pass(subject: Subject) -> None:
    """It waited, was refused, and is a dead letter; the other tables' blocks arrive."""
    subject.writer.faults = {"otel_logs": REFUSED}
    assert subject.deliver(block("a")) is None
    assert subject.deliver(block("b", "otel_traces")) is None
    subject.writer.faults = {"otel_logs": MISMATCH}
    with subject.replaying():
        eventually(lambda: not subject.spool.tables())
    assert subject.writer.taken.keys() == {"b"}
    assert len(subject.files()) == 1


def test_a_block_that_always_fails_lets_the_others_of_its_table_pass(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again after them, and kept."""
    monkeypatch.setattr("receiver.circuit._FIRST_SECONDS", 0.01)
    monkeypatch.setattr("receiver.circuit._MOST_SECONDS", 0.01)
    subject.writer.faults = {"otel_logs": TOO_MANY}
    for token in ("poor", "b", "c"):
        assert subject.deliver(block(token)) is None
    insert = subject.writer.insert

    def refuse_one(table: str, data: bytes, token: str) -> None:
        if token == "poor":
            subject.writer.tried.append(token)
            raise TOO_MANY
        insert(table, data, token)

    subject.writer.faults = {}
    monkeypatch.setattr(subject.writer, "insert", refuse_one)
    with subject.replaying():
        eventually(lambda: subject.writer.taken.keys() == {"b", "c"})
    assert subject.spool.count("otel_logs") == 1


def test_a_full_spool_makes_clients_try_later(tmp_path: Path) -> None:
    """And takes batches again once there is room."""
    subject = Subject(tmp_path, bound=1000)
    try:
        subject.writer.faults = {"otel_logs": REFUSED}
        assert subject.deliver(block("a", size=500)) is None
        full = subject.deliver(block("b", size=500))
        assert isinstance(full, TryLater)
        assert full.reason is Reason.OVERLOADED
        assert "TELEMETRY_SPOOL_BYTES" in full.message
        assert len(subject.files()) == 1
        assert subject.health.is_full
        subject.writer.faults = {}
        with subject.replaying():
            eventually(lambda: "a" in subject.writer.taken)
        assert not subject.health.is_full
        assert subject.deliver(block("c", size=500)) is None
        assert subject.writer.taken.keys() == {"a", "c"}
    finally:
        subject.resends.close()


def test_a_full_spool_counts_as_unstorable_until_replay_makes_room(tmp_path: Path) -> None:
    """From the first batch that is refused on. Its end is found without a client."""
    now = [100.0]
    subject = Subject(tmp_path, bound=1000)
    subject.health = StoreHealth(subject.spool, subject.metrics, lambda: now[0])
    subject.inserter = Inserter(subject.writer, subject.health, subject.metrics, 20)
    subject.delivery = Delivery(subject.inserter, subject.health, subject.disk)
    try:
        subject.writer.faults = {"otel_logs": REFUSED}
        assert subject.deliver(block("a", size=500)) is None
        now[0] = 110.0
        assert subject.health.unstorable_seconds == 0.0
        assert isinstance(subject.deliver(block("b", size=700)), TryLater)
        now[0] = 140.0
        assert isinstance(subject.deliver(block("b", size=700)), TryLater)
        now[0] = 150.0
        assert subject.health.unstorable_seconds == 40.0
        subject.writer.faults = {}
        with subject.replaying():
            eventually(lambda: subject.health.unstorable_seconds == 0.0)
        assert subject.writer.taken.keys() == {"a"}
    finally:
        subject.resends.close()


def test_a_disk_that_cannot_be_written_counts_as_unstorable(subject: Subject, tmp_path: Path) -> None:
    """Only while the store is away too. It is over as soon as the disk takes such a batch, sent or not."""
    batches, aside = tmp_path / "spool" / "batches", tmp_path / "aside"
    batches.rename(aside)
    batches.write_text("")  # a mode would not stop root
    try:
        assert subject.deliver(block("stored")) is None
        assert subject.health.unstorable_seconds == 0.0
        subject.writer.faults = {"otel_logs": REFUSED}
        assert isinstance(subject.deliver(block("lost")), TryLater)
        assert subject.health.unstorable_seconds > 0.0
        assert not subject.spool.could_take(subject.health.unstorable_bytes)
    finally:
        batches.unlink()
        aside.rename(batches)
    with subject.replaying():
        eventually(lambda: subject.health.unstorable_seconds == 0.0)
    assert subject.files() == []


def test_after_a_minute_without_a_try_a_client_is_let_in_again(subject: Subject) -> None:
    """So that a store that is back is found where nothing waits for it."""
    now = [0.0]
    health = StoreHealth(subject.spool, subject.metrics, lambda: now[0])
    health.cannot_store(10)
    now[0] = 59.0
    assert health.unstorable_seconds == 59.0
    now[0] = 61.0
    assert health.unstorable_seconds == 0.0


def test_a_full_spool_refuses_a_batch_as_a_whole_and_no_table_that_is_well(tmp_path: Path) -> None:
    """A batch with a table in trouble is not stored by half; a batch without one is stored."""
    subject = Subject(tmp_path, bound=1000)
    try:
        subject.writer.faults = {"otel_metrics_gauge": TOO_MANY}
        assert subject.deliver(block("a", "otel_metrics_gauge", 900)) is None
        mixed = [block("b", "otel_metrics_sum"), block("c", "otel_metrics_gauge")]
        for _ in range(3):
            assert isinstance(subject.deliver(*mixed), TryLater)
        assert not subject.health.is_full
        assert subject.deliver(block("d", "otel_logs")) is None
        assert subject.writer.taken.keys() == {"d"}
        assert subject.spool.bytes < 1250
    finally:
        subject.resends.close()


def spoil(data: Path) -> None:
    """Put a file where the spool's directory was: every write there fails."""
    (data / "spool/batches").rmdir()
    (data / "spool/batches").write_text("")


def test_without_a_disk_what_is_committed_is_acknowledged_and_nothing_else(subject: Subject) -> None:
    """The failure is counted; nothing crashes."""
    spoil(subject.data)
    assert subject.deliver(block("a")) is None
    assert subject.writer.taken.keys() == {"a"}
    subject.writer.faults = {"otel_logs": REFUSED}
    refused = subject.deliver(block("b"))
    assert isinstance(refused, TryLater)
    assert refused.reason is Reason.STORE_UNAVAILABLE
    assert subject.count("spool_errors_total", doing="write") == 2


def test_without_a_disk_a_store_that_is_well_again_is_found(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing waits that replay could try: a new batch tries, as often as replay would."""
    monkeypatch.setattr("receiver.circuit._MOST_SECONDS", 0.05)
    spoil(subject.data)
    subject.writer.faults = {"otel_logs": REFUSED}
    assert isinstance(subject.deliver(block("a")), TryLater)
    subject.writer.faults = {}
    eventually(lambda: subject.deliver(block("b")) is None)
    assert subject.writer.taken.keys() == {"b"}


def test_a_driver_that_breaks_is_taken_for_a_store_that_is_away(subject: Subject) -> None:
    """Its text is not shown: it could quote data."""
    subject.writer.faults = {"otel_logs": ValueError("hunter2")}
    assert subject.deliver(block("a")) is None
    assert subject.health.troubles == {"otel_logs": "ValueError"}
    assert subject.spool.count("otel_logs") == 1


def test_a_circuit_waits_ever_longer_up_to_ten_seconds_and_less_by_chance() -> None:
    """And not at all once it is closed."""
    now = [100.0]
    circuit = Circuit(clock=lambda: now[0], chance=lambda: 0.0)
    waits = []
    for _ in range(7):
        circuit.fail()
        waits.append(circuit.wait_seconds)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    now[0] += 10
    assert (circuit.is_open, circuit.wait_seconds) == (True, 0.0)
    circuit.succeed()
    assert (circuit.is_open, circuit.wait_seconds) == (False, 0.0)
    hasty: Callable[[], float] = lambda: 1.0  # noqa: E731
    jittered = Circuit(clock=lambda: 0.0, chance=hasty)
    jittered.fail()
    assert jittered.wait_seconds == 0.25
