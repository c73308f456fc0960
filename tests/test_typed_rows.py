"""Typed rows are made beside the raw ones: all of them, once, whatever the block holds and wherever an insert ends."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks import corpus
from clickhouse.engine import Engine
from clickhouse.migrations import migrate
from clickhouse.pieces import Pieces
from clickhouse.prices import load_prices, read_prices
from clickhouse.quoting import identifier
from clickhouse.store import BlockRefused, DailyWriter, EmbeddedWriter, PartWriter, StoreAway
from clickhouse.typed_rows import TypedRows
from tests.events import Record, Tables, event, logs, tables
from tests.requests import surveyed
from tests.server import captures

NOW = int(time.time()) - 3600
DAY = 86_400
_COUNTS = (
    "SELECT (SELECT count() FROM otel_logs), (SELECT count() FROM telemetry_events),"
    " (SELECT sum(events) FROM telemetry_hourly)"
)


class Failing:
    """The real writer, whose insert into one table fails as often as it is told, before it or after it."""

    def __init__(self, writer: PartWriter, table: str) -> None:
        self.writer = writer
        self.table = table
        self.before = self.after = 0

    def insert(self, table: str, block: Pieces, token: str, *, one_part: bool = False) -> None:
        if table == self.table and self.before:
            self.before -= 1
            raise StoreAway("before")
        self.writer.insert(table, block, token, one_part=one_part)
        if table == self.table and self.after:
            self.after -= 1
            raise StoreAway("after")

    def close(self) -> None:
        self.writer.close()


def block_of(store: Tables, *requests: bytes) -> Pieces:
    return store.transform.run("otel_logs", surveyed("otel_logs", requests)).data


def events(count: int, step: float = 0.001) -> bytes:
    return logs([event(NOW - at * step, "api_request", model="m", cost_usd=1) for at in range(count)])


@pytest.mark.parametrize("table", ["otel_logs", "telemetry_events"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_insert_that_ends_on_its_way_is_completed_by_the_next(
    store: Tables, table: str, when: str
) -> None:
    """Before or after either of the two inserts: a repeat with the block's token adds what is missing, and no more."""
    failing = Failing(EmbeddedWriter(store.engine), table)
    writer = TypedRows(failing, store.engine)
    block, token = block_of(store, events(30)), uuid.uuid4().hex
    setattr(failing, when, 2)
    for _ in range(2):
        with pytest.raises(StoreAway):
            writer.insert("otel_logs", block, token)
    writer.close()
    # As after a kill: another process knows nothing of the first.
    for _ in range(2):
        store.writer.insert("otel_logs", block, token)
    assert store.rows(_COUNTS) == [[30, 30, 30]]


def test_a_block_of_many_days_is_typed_day_by_day(store: Tables) -> None:
    """A part that is one day's holds the rows of it, also where an insert is repeated."""
    failing = Failing(EmbeddedWriter(store.engine), "telemetry_events")
    writer = DailyWriter(TypedRows(failing, store.engine), store.engine)
    others = logs([Record(NOW - 9 * DAY, {}, "of another program")], scope="other")
    block, token = block_of(store, events(5, DAY), others), uuid.uuid4().hex
    failing.after = 1
    with pytest.raises(StoreAway):
        writer.insert("otel_logs", block, token)
    for _ in range(2):
        writer.insert("otel_logs", block, token)
    writer.close()
    assert store.rows(_COUNTS) == [[6, 5, 5]]
    assert store.rows("SELECT uniqExact(_partition_id), uniqExact(_part) FROM telemetry_events") == [[5, 5]]


def test_blocks_without_events_make_none_and_leave_the_next_its_own(store: Tables) -> None:
    """No statement waits for rows that do not come, and none answers with another block's."""
    other = logs([Record(NOW, {"event.name": "x"}, "a line")], {"service.name": "other"}, "other")
    for number in range(3):
        store.store("otel_logs", other)
        store.store("otel_logs", other, events(number + 1), other)
    assert store.rows(_COUNTS) == [[15, 6, 6]]


def test_a_block_larger_than_the_pipe_is_typed_whole(store: Tables) -> None:
    """Megabytes, in several blocks of the Native format."""
    requests = [corpus.logs(512, seed, NOW * 10**9) for seed in range(24)]
    block, token = block_of(store, *requests), uuid.uuid4().hex
    assert len(block) > 8 << 20
    for _ in range(2):
        store.writer.insert("otel_logs", block, token)
    assert store.rows(_COUNTS) == [[24 * 512] * 3]


def test_a_block_that_cannot_be_typed_fails_and_spoils_no_other(store: Tables) -> None:
    """The statement is given up: the next block has one of its own."""
    broken = Pieces([store.engine.query("SELECT 'x' AS ScopeName, [1] AS LogAttributes")])
    inner = Failing(Unwritten(), "")
    writer = TypedRows(inner, store.engine)
    with pytest.raises((StoreAway, BlockRefused)):
        writer.insert("otel_logs", broken, uuid.uuid4().hex)
    inner.writer = EmbeddedWriter(store.engine)
    writer.insert("otel_logs", block_of(store, events(3)), uuid.uuid4().hex)
    writer.close()
    assert store.rows(_COUNTS) == [[3, 3, 3]]


class Unwritten:
    """Takes every block, and writes none."""

    def insert(self, table: str, block: Pieces, token: str, *, one_part: bool = False) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def test_several_threads_have_a_statement_each(store: Tables) -> None:
    """Two batches at a time, as ingest has them."""
    blocks = [block_of(store, events(50)) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for done in [
            pool.submit(store.writer.insert, "otel_logs", block, uuid.uuid4().hex) for block in blocks
        ]:
            done.result()
    assert store.rows(_COUNTS) == [[400, 400, 400]]


def test_every_column_is_made(store: Tables) -> None:
    """Columns with a default have the same value when they are made as when the table works them out."""
    store.store(
        "otel_logs",
        logs(
            [
                event(NOW, "api_request", model="Claude-Opus-4.8", input_tokens=5, output_tokens=1),
                event(NOW, "api_error", model="claude-opus-4-8", error="529", attempt=1),
                event(
                    NOW,
                    "tool_result",
                    tool_name="Bash",
                    success="true",
                    tool_parameters='{"bash_command": "ls"}',
                ),
                event(NOW, "mcp_server_connection", status="failed", server_name="s"),
                event(NOW, "hook_execution_complete", hook_event="Stop", hook_name="Stop:x"),
                event(NOW, "compaction", success="false"),
                event(NOW, "user_prompt"),
            ]
        ),
    )
    defaults = dict(
        store.rows(
            "SELECT name, default_expression FROM system.columns"
            " WHERE database = currentDatabase() AND table = 'telemetry_events' AND name IN ('model_name', 'tried_id')"
        )
    )
    made = store.rows("SELECT event_type, model_name, tried_id FROM telemetry_events ORDER BY event_type")
    assert len({tried for _, _, tried in made}) == 6
    assert made == store.rows(
        f"SELECT event_type, {defaults['model_name']} AS name,"
        f" {defaults['tried_id'].replace('model_name', 'name')} FROM telemetry_events ORDER BY event_type"
    )


def test_a_store_whose_events_a_view_made_goes_on_without_it(engine: Engine) -> None:
    """Its events stay, they are what the view makes, and each record that is stored later makes one event."""
    with tables(engine) as other:
        block = block_of(other, events(4), *captures("logs"))
    name = f"typed_{uuid.uuid4().hex}"
    engine.use(name)
    try:
        migrate(engine, 3650)
        load_prices(engine, read_prices())
        plain = EmbeddedWriter(engine)
        plain.insert("otel_logs", block, uuid.uuid4().hex)
        everything = "SELECT * EXCEPT arrived FROM telemetry_events ORDER BY ALL"
        ((records, events_made, counted),) = engine.rows(_COUNTS)
        by_view = engine.rows(everything)
        assert events_made == counted > 4
        writer = TypedRows(plain, engine)
        writer.insert("otel_logs", block, uuid.uuid4().hex)
        writer.close()
        assert engine.rows(_COUNTS) == [[2 * records, 2 * events_made, 2 * counted]]
        assert engine.rows(everything) == [row for row in by_view for _ in range(2)]
    finally:
        engine.use("telemetry")
        engine.command(f"DROP DATABASE {identifier(name)}")
