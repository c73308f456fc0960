"""The two writers' failures, and the server's writer against an HTTP server."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from clickhouse.endpoint import ServerEndpoint
from clickhouse.engine import Engine
from clickhouse.pieces import Pieces
from clickhouse.remote import ServerWriter
from clickhouse.store import DAYS_AT_ONCE, BlockRefused, DailyWriter, DaysLeft, EmbeddedWriter, StoreAway
from tests.server import NO_TLS, ROOT


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Hold a port on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def sink() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a server that takes every insert and keeps none; return its address and its process."""
    command = [sys.executable, "-m", "benchmarks.sink", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}", process
        process.terminate()
        process.wait(180)


def server_writer(url: str) -> ServerWriter:
    return ServerWriter(ServerEndpoint(url, "writer", "hunter2", "telemetry"), lambda _: None)


def test_a_server_that_cannot_be_reached_is_named_by_its_settings(closed_port: int) -> None:
    """The error says which settings to look at, and not the password."""
    with pytest.raises(StoreAway) as caught:
        server_writer(f"http://127.0.0.1:{closed_port}").open()
    text = str(caught.value)
    assert f"127.0.0.1:{closed_port} as writer" in text
    assert "check CLICKHOUSE_URL" in text
    assert "hunter2" not in text
    assert caught.value.reason == "CONNECTION_REFUSED"
    assert caught.value.whole
    assert caught.value.__cause__ is None


def test_a_block_reaches_a_server(engine: Engine, sink: tuple[str, subprocess.Popen[str]]) -> None:
    """One insert is one request, with the block as it is on the same machine."""
    block = engine.query("SELECT number AS Value FROM numbers(10000)")
    url, _ = sink
    writer = server_writer(url)
    try:
        writer.insert("otel_metrics_gauge", Pieces([block]), "token")
    finally:
        writer.close()
    stats = httpx.get(f"{url}/stats", timeout=180, verify=NO_TLS).json()
    assert stats["inserts"] == 1
    assert stats["bytes"] >= len(block)


def test_a_server_that_went_away_fails_the_insert(
    engine: Engine, sink: tuple[str, subprocess.Popen[str]]
) -> None:
    """The failure names the table and nothing of the block."""
    url, process = sink
    writer = server_writer(url)
    writer.open()
    process.terminate()
    process.wait(180)
    try:
        with pytest.raises(StoreAway, match=r"^Inserting into otel_logs failed: CONNECTION_REFUSED$"):
            writer.insert("otel_logs", Pieces([engine.query("SELECT 'hunter2' AS Body")]), "token")
    finally:
        writer.close()


def test_an_embedded_insert_that_fails_names_the_table_and_the_error(engine: Engine) -> None:
    """Never the data."""
    with pytest.raises(BlockRefused) as caught:
        EmbeddedWriter(engine).insert(
            "no_such_table", Pieces([engine.query("SELECT 'hunter2' AS Body")]), "token"
        )
    assert str(caught.value) == "Inserting into no_such_table failed: UNKNOWN_TABLE (code 60)"


def test_an_embedded_block_may_span_many_days(engine: Engine) -> None:
    """A late client's batch is stored, not refused for its number of partitions."""
    block = engine.query(
        "SELECT now64(9, 'UTC') + toIntervalDay(number) AS TimeUnix, 'spanning' AS MetricName"
        " FROM numbers(110)"
    )
    EmbeddedWriter(engine).insert("otel_metrics_gauge", Pieces([block]), "spanning")
    counted = engine.rows("SELECT count() FROM otel_metrics_gauge WHERE MetricName = 'spanning'")
    assert counted == [[110]]


@pytest.fixture
def throwing_view(engine: Engine) -> Iterator[None]:
    """Make a view that fails for one metric, which an insert meets in its last step."""
    engine.command("CREATE TABLE fed (x UInt8) ENGINE = MergeTree ORDER BY x")
    engine.command(
        "CREATE MATERIALIZED VIEW throwing TO fed AS"
        " SELECT throwIf(MetricName = 'thrown') AS x FROM otel_metrics_gauge"
    )
    yield
    engine.command("DROP VIEW throwing")
    engine.command("DROP TABLE fed")


@pytest.mark.usefixtures("throwing_view")
def test_an_embedded_insert_that_fails_at_its_end_is_an_error(engine: Engine) -> None:
    """The engine's own way to stream an insert would take it for success."""
    block = engine.query("SELECT now64(9, 'UTC') AS TimeUnix, 'thrown' AS MetricName")
    with pytest.raises(BlockRefused, match="FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"):
        EmbeddedWriter(engine).insert("otel_metrics_gauge", Pieces([block]), "thrown")


def test_a_block_of_several_days_is_inserted_day_by_day(engine: Engine) -> None:
    """Each day is a part, under a token of its own: a repeat adds nothing, also in tables that views feed."""
    block = engine.query(
        "SELECT toDateTime64('2026-10-01 22:00:00', 9, 'UTC') + toIntervalHour(number) AS Timestamp,"
        " 'daily' AS ServiceName, '00000000000000000000000000000da1' AS TraceId FROM numbers(30)"
    )
    inner = EmbeddedWriter(engine)
    writer = DailyWriter(inner, engine)
    # One day is there already, as after a crash before the next one: the rest is added, and nothing twice.
    first = engine.query(
        "SELECT toDateTime64('2026-10-01 22:00:00', 9, 'UTC') + toIntervalHour(number) AS Timestamp,"
        " 'daily' AS ServiceName, '00000000000000000000000000000da1' AS TraceId FROM numbers(2)"
    )
    inner.insert("otel_traces", Pieces([first]), "daily-2026-10-01")
    for _ in range(2):
        writer.insert("otel_traces", Pieces([block]), "daily")
    assert engine.rows(
        "SELECT toString(toDate(Timestamp, 'UTC')) AS day, count() FROM otel_traces WHERE ServiceName = 'daily'"
        " GROUP BY day ORDER BY day"
    ) == [["2026-10-01", 2], ["2026-10-02", 24], ["2026-10-03", 4]]
    assert engine.rows(
        "SELECT toString(Start, 'UTC'), toString(End, 'UTC') FROM otel_traces_trace_id_ts"
        " WHERE TraceId = '00000000000000000000000000000da1' ORDER BY Start"
    ) == [
        ["2026-10-01 22:00:00", "2026-10-01 23:00:00"],
        ["2026-10-02 00:00:00", "2026-10-02 23:00:00"],
        ["2026-10-03 00:00:00", "2026-10-03 03:00:00"],
    ]


def test_a_block_of_many_days_is_inserted_a_few_at_a_time(engine: Engine) -> None:
    """The nearest to the present first; each further call goes on, and a new process begins again without a repeat."""
    block = Pieces(
        [
            engine.query(
                "SELECT now64(9, 'UTC') + toIntervalDay(number - 15) AS Timestamp, 'scattered' AS ServiceName"
                " FROM numbers(31)"
            )
        ]
    )

    def days() -> list[int]:
        return [
            day
            for (day,) in engine.rows(
                "SELECT dateDiff('day', now('UTC'), Timestamp, 'UTC') AS day FROM otel_logs"
                " WHERE ServiceName = 'scattered' ORDER BY abs(day), day"
            )
        ]

    writer = DailyWriter(EmbeddedWriter(engine), engine)
    nearest = sorted(range(-15, 16), key=lambda day: (abs(day), day))
    calls = len(nearest) // DAYS_AT_ONCE
    for call in range(1, calls + 1):
        with pytest.raises(DaysLeft):
            writer.insert("otel_logs", block, "scattered")
        assert days() == nearest[: call * DAYS_AT_ONCE]
    # After a restart all days are inserted again, which adds no row.
    writer = DailyWriter(EmbeddedWriter(engine), engine)
    for _ in range(calls):
        with pytest.raises(DaysLeft):
            writer.insert("otel_logs", block, "scattered")
        assert days() == nearest[: calls * DAYS_AT_ONCE]
    writer.insert("otel_logs", block, "scattered")
    assert days() == nearest
