"""The schema: applied once, checked by checksum, under one retention, its tables those of the exporter."""

import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clickhouse.engine import Engine, identifier
from clickhouse.migrations import SCHEMA, SchemaError, migrate, migrations, retain
from clickhouse.pieces import Pieces
from clickhouse.store import EmbeddedWriter
from tests.server import Server

M = "Map(LowCardinality(String), String)"
LC = "LowCardinality(String)"
TIME = "DateTime64(9)"


def nested(name: str, **columns: str) -> dict[str, str]:
    return {f"{name}.{column}": f"Array({kind})" for column, kind in columns.items()}


EXEMPLARS = nested(
    "Exemplars", FilteredAttributes=M, TimeUnix=TIME, Value="Float64", SpanId="String", TraceId="String"
)
METRIC = {
    "ResourceAttributes": M, "ResourceSchemaUrl": "String", "ScopeName": "String", "ScopeVersion": "String",
    "ScopeAttributes": M, "ScopeDroppedAttrCount": "UInt32", "ScopeSchemaUrl": "String", "ServiceName": LC,
    "MetricName": LC, "MetricDescription": "String", "MetricUnit": "String", "Attributes": M,
    "StartTimeUnix": TIME, "TimeUnix": TIME,
}  # fmt: skip
NUMBER = {**METRIC, "Value": "Float64", "Flags": "UInt32", **EXEMPLARS}
BOUNDS = {"Flags": "UInt32", "Min": "Float64", "Max": "Float64", "AggregationTemporality": "Int32"}
TABLES = {
    "otel_traces": {
        "Timestamp": TIME, "TraceId": "String", "SpanId": "String", "ParentSpanId": "String",
        "TraceState": "String",
        "SpanName": LC, "SpanKind": LC, "ServiceName": LC, "ResourceAttributes": M, "ScopeName": "String",
        "ScopeVersion": "String", "SpanAttributes": M, "Duration": "UInt64", "StatusCode": LC,
        "StatusMessage": "String", **nested("Events", Timestamp=TIME, Name=LC, Attributes=M),
        **nested("Links", TraceId="String", SpanId="String", TraceState="String", Attributes=M),
    },
    "otel_traces_trace_id_ts": {"TraceId": "String", "Start": "DateTime", "End": "DateTime"},
    "otel_logs": {
        "Timestamp": TIME, "TraceId": "String", "SpanId": "String", "TraceFlags": "UInt8", "SeverityText": LC,
        "SeverityNumber": "UInt8", "ServiceName": LC, "Body": "String", "ResourceSchemaUrl": LC,
        "ResourceAttributes": M, "ScopeSchemaUrl": LC, "ScopeName": "String", "ScopeVersion": LC,
        "ScopeAttributes": M, "LogAttributes": M, "EventName": "String",
    },
    "otel_metrics_gauge": NUMBER,
    "otel_metrics_sum": {**NUMBER, "AggregationTemporality": "Int32", "IsMonotonic": "Bool"},
    "otel_metrics_summary": {
        **METRIC, "Count": "UInt64", "Sum": "Float64",
        **nested("ValueAtQuantiles", Quantile="Float64", Value="Float64"), "Flags": "UInt32",
    },
    "otel_metrics_histogram": {
        **METRIC, "Count": "UInt64", "Sum": "Float64", "BucketCounts": "Array(UInt64)",
        "ExplicitBounds": "Array(Float64)", **EXEMPLARS, **BOUNDS,
    },
    "otel_metrics_exp_histogram": {
        **METRIC, "Count": "UInt64", "Sum": "Float64", "Scale": "Int32", "ZeroCount": "UInt64",
        "PositiveOffset": "Int32", "PositiveBucketCounts": "Array(UInt64)", "NegativeOffset": "Int32",
        "NegativeBucketCounts": "Array(UInt64)", **EXEMPLARS, **BOUNDS,
    },
}  # fmt: skip
TIME_COLUMN = {
    table: "Timestamp" if "Timestamp" in columns else "TimeUnix"
    for table, columns in TABLES.items()
    if table != "otel_traces_trace_id_ts"
}
TIMELESS = {"model_prices", "schema_migrations", "telemetry_forgotten"}
"""What is written by us, not sent: kept for ever, and in few rows."""
_STORED = (
    "SELECT name, engine_full FROM system.tables"
    " WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name"
)
_APPLIED = "SELECT number, name, checksum FROM schema_migrations ORDER BY number"


@pytest.fixture
def database(engine: Engine) -> Iterator[Engine]:
    """Give the engine with an empty database as its default."""
    name = f"migrations_{uuid.uuid4().hex}"
    engine.use(name)
    yield engine
    engine.use("telemetry")
    engine.command(f"DROP DATABASE {identifier(name)}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy the migrations, so that a test may edit them."""
    return Path(shutil.copytree(SCHEMA, tmp_path / "schema"))


def test_every_migration_is_applied_once_and_recorded(database: Engine) -> None:
    """A second run finds nothing to do."""
    known = migrations()
    assert migrate(database, 90) == known
    recorded = [[migration.number, migration.name, migration.checksum] for migration in known]
    assert database.rows(_APPLIED) == recorded
    assert migrate(database, 90) == []
    assert database.rows(_APPLIED) == recorded


def test_migrations_are_numbered_without_repeats() -> None:
    """Their order is their number."""
    numbers = [migration.number for migration in migrations()]
    assert numbers == sorted(set(numbers))


def test_a_new_migration_alone_is_applied(database: Engine, folder: Path) -> None:
    """An upgrade runs what is missing and nothing else."""
    migrate(database, 90, folder)
    number = migrations()[-1].number + 1
    (folder / f"{number:04d}_new.sql").write_text("CREATE TABLE new (x UInt8) ENGINE = MergeTree ORDER BY x")
    assert [(made.number, made.name) for made in migrate(database, 90, folder)] == [(number, "new")]
    assert database.rows("SELECT count() FROM new") == [[0]]


def test_an_edited_migration_stops_the_start_with_the_remedy(database: Engine, folder: Path) -> None:
    """A released file is never edited."""
    migrate(database, 90, folder)
    edited = folder / "0004_otel_logs.sql"
    edited.write_text(edited.read_text().replace("-- Log records", "-- Edited"))
    with pytest.raises(SchemaError) as caught:
        migrate(database, 30, folder)
    assert str(caught.value) == (
        "The database's schema does not fit this version: migration 4 (otel_logs) was applied with another"
        " text: restore the released file, and put the change into a new migration."
    )
    assert all("toIntervalDay(31)" not in engine for _, engine in database.rows(_STORED))


def test_a_newer_database_stops_the_start_with_the_remedy(database: Engine, folder: Path) -> None:
    """A downgrade is refused before anything is changed, with all faults at once."""
    migrate(database, 90, folder)
    (folder / "0009_otel_metrics_exp_histogram.sql").unlink()
    (folder / "0001_otel_traces.sql").write_text("SELECT 1")
    with pytest.raises(SchemaError) as caught:
        migrate(database, 90, folder)
    assert "migration 1 (otel_traces) was applied with another text" in str(caught.value)
    assert (
        "migration 9 (otel_metrics_exp_histogram) is not known to this version: install a newer one"
        in str(caught.value)
    )


def test_a_migration_that_fails_is_not_recorded_and_is_tried_again(database: Engine, folder: Path) -> None:
    """What came before it stays; a mended one is applied by the next start."""
    path = folder / "0005_otel_metrics_gauge.sql"
    right = path.read_text()
    path.write_text("CREATE TABLE broken (")
    with pytest.raises(Exception, match="SYNTAX_ERROR"):
        migrate(database, 90, folder)
    assert database.rows("SELECT max(number) FROM schema_migrations") == [[4]]
    path.write_text(right)
    assert [made.number for made in migrate(database, 90, folder)] == [
        made.number for made in migrations() if made.number >= 5
    ]


def test_a_changed_retention_alters_every_table(database: Engine) -> None:
    """And one that is as it should be alters none. A TTL counts from a row's day, hence the day more."""
    migrate(database, 90)
    with_ttl = [name for name, engine in database.rows(_STORED) if name not in TIMELESS]
    assert set(TABLES) <= set(with_ttl)
    assert retain(database, 90) == []
    assert retain(database, 30) == with_ttl
    stored = dict(database.rows(_STORED))
    assert {name: stored[name].count("toIntervalDay(31)") for name in with_ttl} == dict.fromkeys(with_ttl, 1)
    assert retain(database, 30) == []
    assert migrate(database, 90) == []
    assert all("toIntervalDay(91)" in dict(database.rows(_STORED))[name] for name in with_ttl)


def test_the_tables_have_the_exporter_s_columns(database: Engine) -> None:
    """Names, types and order, as Grafana and HyperDX read them."""
    migrate(database, 90)
    for table, columns in TABLES.items():
        rows = database.rows(
            "SELECT name, type FROM system.columns"
            " WHERE database = currentDatabase() AND table = {table:String} ORDER BY position",
            {"table": table},
        )
        assert [(name, kind) for name, kind in rows] == list(columns.items()), table


def test_every_table_is_durable_deduplicated_and_forgets_by_whole_parts(database: Engine) -> None:
    """Without these settings neither an acknowledgement nor a repeated insert would keep its promise."""
    migrate(database, 90)
    stored = dict(database.rows(_STORED))
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
    migrate(database, 90)
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
    migrate(database, 90)
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
    """In the table and in what is fed from it; with another token it is another block."""
    migrate(database, 90)
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
    migrate(database, 90)
    block = database.query(f"SELECT now64(9, 'UTC') AS {TIME_COLUMN[table]} FROM numbers(3)")
    token = uuid.uuid4().hex
    for _ in range(2):
        EmbeddedWriter(database).insert(table, Pieces([block]), token)
    assert database.rows(f"SELECT count() FROM {table}") == [[3]]


@pytest.mark.slow
def test_a_start_with_another_retention_alters_the_tables(start: Callable[..., Server]) -> None:
    """The setting takes effect at the next start."""
    for days in ("40", "7"):
        server = start(TELEMETRY_RETENTION_DAYS=days)
        assert server.stop(signal.SIGTERM) == 0
        (rows,) = server.rows(
            "SELECT name, engine_full FROM system.tables"
            " WHERE database = 'telemetry' AND engine LIKE '%MergeTree'"
        )
        stored = {row["name"]: row["engine_full"] for row in rows if row["name"] not in TIMELESS}
        assert set(TABLES) <= set(stored)
        assert [
            name for name, engine in stored.items() if f"toIntervalDay({int(days) + 1})" not in engine
        ] == []
