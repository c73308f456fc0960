"""The tables that migrations make: their columns, their promises, times far away, and repeated inserts."""

import time
import uuid
from collections.abc import Iterator

import pytest

from clickhouse.engine import Engine
from clickhouse.migrations import migrate
from clickhouse.pieces import Pieces
from clickhouse.quoting import identifier
from clickhouse.store import EmbeddedWriter
from tests.schema import STORED, TABLES, TIME_COLUMN, TIMELESS
from tests.server import eventually


@pytest.fixture(scope="module")
def migrated(engine: Engine) -> Iterator[Engine]:
    """Migrate a database from nothing, once for all of these tests."""
    name = f"tables_{uuid.uuid4().hex}"
    engine.use(name)
    migrate(engine, 90)
    yield engine
    engine.use("telemetry")
    engine.command(f"DROP DATABASE {identifier(name)}")


@pytest.fixture
def database(migrated: Engine) -> Engine:
    """Return the engine with the database as its default; the tables are empty."""
    for table in TABLES:
        migrated.command(f"TRUNCATE TABLE {table}")
    return migrated


def test_the_tables_have_the_exporter_s_columns(database: Engine) -> None:
    """Names, types and order, as Grafana and HyperDX read them."""
    for table, columns in TABLES.items():
        rows = database.rows(
            "SELECT name, type FROM system.columns"
            " WHERE database = currentDatabase() AND table = {table:String} ORDER BY position",
            {"table": table},
        )
        assert [(name, kind) for name, kind in rows] == list(columns.items()), table


def test_every_table_is_durable_deduplicated_and_forgets_by_whole_parts(database: Engine) -> None:
    """Without these settings neither an acknowledgement nor a repeated insert would keep its promise."""
    stored = dict(database.rows(STORED))
    assert set(TABLES) <= set(stored)
    for table in stored.keys() - TIMELESS:
        _, _, settings = stored[table].partition(" SETTINGS ")
        found = dict(pair.split(" = ") for pair in settings.split(", "))
        expected = {
            "ttl_only_drop_parts": "1",
            "non_replicated_deduplication_window": "10000",
            "fsync_after_insert": "1",
            "fsync_part_directory": "1",
            "min_rows_to_fsync_after_merge": "1",
            "min_compressed_bytes_to_fsync_after_merge": "1",
        }
        assert expected.items() <= found.items(), table
        assert " TTL " in stored[table], table
        assert "PARTITION BY toDate(" in stored[table], table


@pytest.mark.parametrize("table", TIME_COLUMN)
def test_rows_of_the_far_future_are_stored_and_stay(database: Engine, table: str) -> None:
    """Dates of 16 bits end in 2149: a later one must not wrap into the past and out of the retention."""
    column = TIME_COLUMN[table]
    moments = ["2150-01-01 00:00:00.000000001", "2262-04-11 23:47:16.854775807"]
    for moment in moments:
        block = database.query(
            f"SELECT toDateTime64({{moment:String}}, 9, 'UTC') AS {column}", {"moment": moment}
        )
        EmbeddedWriter(database).insert(table, Pieces([block]), uuid.uuid4().hex)
    database.command(f"OPTIMIZE TABLE {table} FINAL")
    assert database.rows(f"SELECT {column} FROM {table} ORDER BY {column}") == [
        [moment] for moment in moments
    ]
    assert database.rows(f"SELECT DISTINCT partition FROM system.parts WHERE database = currentDatabase()"
                         f" AND table = '{table}' AND active") == [["2100-01-01"]]  # fmt: skip


def test_a_trace_of_the_far_future_is_looked_up_at_the_last_day_of_the_index(database: Engine) -> None:
    """Its look-up row does not wrap either."""
    block = database.query(
        "SELECT 'ab' AS TraceId, toDateTime64(moment, 9, 'UTC') AS Timestamp"
        " FROM VALUES('moment String', '2150-01-01 00:00:00', '2262-04-11 23:47:16')"
    )
    EmbeddedWriter(database).insert("otel_traces", Pieces([block]), uuid.uuid4().hex)
    rows = database.rows(
        "SELECT TraceId, toString(Start, 'UTC'), toString(End, 'UTC') FROM otel_traces_trace_id_ts"
    )
    assert rows == [["ab", "2100-01-01 00:00:00", "2100-01-01 00:00:00"]]


def test_a_block_inserted_twice_with_one_token_adds_its_rows_once(database: Engine) -> None:
    """In the table and in those that are fed from it; with another token it is another block."""
    now = int(time.time())
    block = database.query(
        "SELECT if(number < 3, 'aa', 'bb') AS TraceId,"
        " toDateTime64({now:Int64} + number, 9, 'UTC') AS Timestamp FROM numbers(5)",
        {"now": now},
    )
    counted = "SELECT (SELECT count() FROM otel_traces), (SELECT count() FROM otel_traces_trace_id_ts)"
    writer = EmbeddedWriter(database)
    token = uuid.uuid4().hex
    writer.insert("otel_traces", Pieces([block]), token)
    writer.insert("otel_traces", Pieces([block]), token)
    assert database.rows(counted) == [[5, 2]]
    assert database.rows(
        "SELECT TraceId, toUnixTimestamp(Start), toUnixTimestamp(End)"
        " FROM otel_traces_trace_id_ts ORDER BY TraceId"
    ) == [["aa", now, now + 2], ["bb", now + 3, now + 4]]
    writer.insert("otel_traces", Pieces([block]), uuid.uuid4().hex)
    assert database.rows(counted) == [[10, 4]]


@pytest.mark.parametrize("table", [table for table in TIME_COLUMN if table != "otel_traces"])
def test_every_table_knows_a_token_again(database: Engine, table: str) -> None:
    """A retry after a lost answer adds no row anywhere."""
    block = database.query(f"SELECT now64(9, 'UTC') AS {TIME_COLUMN[table]} FROM numbers(3)")
    token = uuid.uuid4().hex
    for _ in range(2):
        EmbeddedWriter(database).insert(table, Pieces([block]), token)
    assert database.rows(f"SELECT count() FROM {table}") == [[3]]


def test_the_events_of_a_batch_are_one_file_and_merged_ones_a_file_a_column(database: Engine) -> None:
    """Each file is synced before an acknowledgement; a question reads the columns that it names."""
    kinds = (
        "SELECT part_type FROM system.parts"
        " WHERE database = currentDatabase() AND table = 'telemetry_events' AND active"
    )
    for batch in ("a", "b"):
        database.command(
            "INSERT INTO telemetry_events (timestamp, event_type, tool_use_id, attributes)"
            " SELECT now64(9), 'tool_result', concat({batch:String}, toString(number)), map('key', repeat('x', 450))"
            " FROM numbers(20000)",
            {"batch": batch},
        )
    assert database.rows(kinds) == [["Compact"], ["Compact"]]
    database.command("OPTIMIZE TABLE telemetry_events FINAL")
    assert database.rows(kinds) == [["Wide"]]


@pytest.mark.parametrize("table", ["otel_traces", "otel_logs"])
def test_sixteen_parts_are_merged_at_once(database: Engine, table: str) -> None:
    """Each level of merges writes all rows again, so there are to be few."""
    writer = EmbeddedWriter(database)
    database.command(f"SYSTEM STOP MERGES {table}")
    for number in range(16):
        block = database.query(
            "SELECT now64(9) AS Timestamp, toString({number:UInt8}) AS TraceId", {"number": number}
        )
        writer.insert(table, Pieces([block]), uuid.uuid4().hex)
    database.command(f"SYSTEM START MERGES {table}")
    parts = (
        "SELECT rows, level FROM system.parts"
        " WHERE database = currentDatabase() AND table = {table:String} AND active"
    )
    eventually(lambda: len(database.rows(parts, {"table": table})) == 1, 60)
    assert [[int(rows), level] for rows, level in database.rows(parts, {"table": table})] == [[16, 1]]
