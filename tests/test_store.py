"""The two writers' failures, and the server's writer against an HTTP server."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from clickhouse.engine import Engine
from clickhouse.store import EmbeddedWriter, ServerSession, StoreError
from tests.server import ROOT


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port that nobody listens on, held so that nobody will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def sink() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a server that takes every insert and keeps none; give its address and its process."""
    command = [sys.executable, "-m", "benchmarks.sink", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}", process
        process.terminate()
        process.wait(30)


def test_a_server_that_cannot_be_reached_is_named_by_its_settings(closed_port: int) -> None:
    """The error says which settings to look at, and not the password."""
    with pytest.raises(StoreError) as caught:
        ServerSession(f"http://127.0.0.1:{closed_port}", "writer", "hunter2", "telemetry")
    text = str(caught.value)
    assert f"127.0.0.1:{closed_port} as writer" in text
    assert "check CLICKHOUSE_URL, CLICKHOUSE_USER and CLICKHOUSE_PASSWORD." in text
    assert "hunter2" not in text
    assert caught.value.__cause__ is None


def test_a_block_reaches_a_server(engine: Engine, sink: tuple[str, subprocess.Popen[str]]) -> None:
    """One insert is one request, with the block as it is on the same machine."""
    block = engine.query("SELECT number AS Value FROM numbers(10000)")
    url, _ = sink
    session = ServerSession(url, "writer", "", "telemetry")
    try:
        session.insert("otel_metrics_gauge", block, "token")
    finally:
        session.close()
    stats = httpx.get(f"{url}/stats", timeout=10).json()
    assert stats["inserts"] == 1
    assert stats["bytes"] >= len(block)


def test_a_server_that_went_away_fails_the_insert(
    engine: Engine, sink: tuple[str, subprocess.Popen[str]]
) -> None:
    """The failure names the table and nothing of the block."""
    url, process = sink
    session = ServerSession(url, "writer", "", "telemetry")
    process.terminate()
    process.wait(30)
    try:
        with pytest.raises(StoreError, match=r"Inserting into otel_logs failed: \w+$"):
            session.insert("otel_logs", engine.query("SELECT 'hunter2' AS Body"), "token")
    finally:
        session.close()


def test_an_embedded_insert_that_fails_names_the_table_and_the_error(engine: Engine) -> None:
    """Never the data."""
    with pytest.raises(StoreError) as caught:
        EmbeddedWriter(engine).insert("no_such_table", engine.query("SELECT 'hunter2' AS Body"), "token")
    assert str(caught.value) == "Inserting into no_such_table failed: UNKNOWN_TABLE (code 60)"


def test_an_embedded_block_may_span_many_days(engine: Engine) -> None:
    """A late client's batch is stored, not refused for its number of partitions."""
    block = engine.query(
        "SELECT now64(9, 'UTC') + toIntervalDay(number) AS TimeUnix, 'spanning' AS MetricName"
        " FROM numbers(110)"
    )
    EmbeddedWriter(engine).insert("otel_metrics_gauge", block, "spanning")
    counted = engine.rows("SELECT count() FROM otel_metrics_gauge WHERE MetricName = 'spanning'")
    assert counted == [[110]]
