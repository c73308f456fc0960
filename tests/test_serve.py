"""The server's life as a real process: start, signals, errors at the start, crash and restart."""

import json
import re
import signal
import socket
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.server import Server, eventually, free_port

Launch = Callable[..., Server]
_COUNT = "SELECT TraceId, count() AS spans FROM otel_traces GROUP BY TraceId ORDER BY TraceId"


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Launch servers without waiting for them, for starts that fail."""
    servers: list[Server] = []

    def begin(data: Path = tmp_path / "launched", **environment: str) -> Server:
        servers.append(Server(data, environment))
        return servers[-1]

    yield begin
    for server in servers:
        server.kill()


@pytest.fixture
def taken() -> Iterator[int]:
    """Take a port, as another program may."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def spans(count: int, trace: bytes) -> bytes:
    request = ExportTraceServiceRequest()
    made = request.resource_spans.add().scope_spans.add().spans
    for _ in range(count):
        made.add(name="span", trace_id=trace, start_time_unix_nano=time.time_ns())
    return request.SerializeToString()


def listens(port: int) -> bool:
    """Whether a connection to the port is taken."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def refusal(server: Server) -> str:
    """Return the output of a server that did not start; it is never a traceback."""
    assert server.process.wait(180) == 1
    text = server.log.read_text()
    assert "Traceback" not in text
    (last,) = text.split("telemetry: ")[1:]
    return last.strip()


def test_a_start_shows_where_it_listens_and_what_to_set(start: Launch) -> None:
    """The banner can be copied as it is, with the ports that were found for port 0."""
    server = start(TELEMETRY_LOG_FORMAT="console", TELEMETRY_RETENTION_DAYS="33", TELEMETRY_RETENTION_DAY="1")
    text = server.log.read_text()
    listening = server.listening
    grpc = listening["otlp_grpc"]
    assert set(listening) == {"otlp_grpc", "otlp_http", "clickhouse_http", "metrics", "health"}
    assert all(re.fullmatch(r"127\.0\.0\.1:[1-9]\d+", address) for address in listening.values())
    assert (
        "TELEMETRY_RETENTION_DAY is no setting and has no effect: did you mean TELEMETRY_RETENTION_DAYS?"
        in text
    )
    banner = text[text.index("  OTLP/gRPC") :]
    assert banner.splitlines() == [
        f"  OTLP/gRPC   {listening['otlp_grpc']}",
        f"  OTLP/HTTP   http://{listening['otlp_http']}",
        f"  ClickHouse  http://{listening['clickhouse_http']}  (passwords: {server.data / 'credentials.env'})",
        f"  Metrics     http://{listening['metrics']}/metrics",
        f"  Health      http://{listening['health']}/ready",
        f"  Data        {server.data / 'clickhouse'} (kept 33 days, privacy: strict)",
        "",
        "  Point Claude Code here, from another shell: .venv/bin/telemetry setup",
        "  Or by hand, in the shell that starts it:",
        "",
        "    export CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp",
        f"    export OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_ENDPOINT=http://{grpc}",
        "    export CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 OTEL_TRACES_EXPORTER=otlp",
        "",
        "  Then ask: .venv/bin/telemetry query --list",
        "  Ctrl-C stores what is under way and stops.",
        "",
    ]
    assert ":0 " not in text
    assert "\x1b[" not in text, "colours are for terminals"
    assert server.stop(signal.SIGINT) == 0
    assert "Stopped; everything acknowledged is stored." in server.log.read_text()


@pytest.mark.slow
def test_health_metrics_and_logs_of_a_running_server(start: Launch) -> None:
    """Probes, Prometheus and a log collector each get their format."""
    server = start()
    health = f"http://{server.listening['health']}"
    assert httpx.get(f"{health}/live", timeout=180).json() == {"status": "live"}
    ready = {"status": "ready", "listening": server.listening, "store": {"status": "ok"}}
    assert httpx.get(f"{health}/ready", timeout=180).json() == ready
    assert httpx.get(f"{health}/", timeout=180).json() == ready
    assert httpx.get(f"{health}/other", timeout=180).status_code == 404
    server.export("traces", spans(3, uuid.uuid4().bytes))
    metrics = httpx.get(f"http://{server.listening['metrics']}/metrics", timeout=180)
    assert metrics.status_code == 200
    assert metrics.headers["content-type"].startswith("text/plain; version=1.0.0")
    assert 'telemetry_accepted_records_total{signal="traces"} 3.0' in metrics.text.splitlines()
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    assert server.stop(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    events = [line["event"] for line in lines if line["event"] != "Schema migrated."]
    assert events == [
        "Ready.",
        "Stopping: no new requests; those under way are being stored.",
        "Stopped; everything acknowledged is stored.",
    ]


@pytest.mark.slow
def test_a_request_under_way_is_stored_and_acknowledged_before_the_exit(start: Launch) -> None:
    """SIGTERM drains: the client hears success, and the row is there."""
    server = start(TELEMETRY_BATCH_AGE_MS="1500")
    trace = uuid.uuid4().bytes
    with ThreadPoolExecutor() as pool:
        answers = [
            pool.submit(server.export, "traces", spans(2, trace)),
            pool.submit(server.post, "traces", spans(3, trace)),
        ]
        eventually(lambda: server.metric("telemetry_received_records_total", signal="traces") == 5)
        assert server.stop(signal.SIGTERM) == 0
        assert answers[0].result() == b""
        assert answers[1].result().status_code == 200
    assert server.rows(_COUNT) == [[{"TraceId": trace.hex(), "spans": 5}]]


@pytest.mark.slow
def test_a_stop_keeps_its_order(start: Launch) -> None:
    """Not ready; no new requests; those under way answered, from the spool at half time; then the other ports close."""
    store = free_port()
    server = start(
        CLICKHOUSE_URL=f"http://127.0.0.1:{store}",
        TELEMETRY_BATCH_AGE_MS="0",
        TELEMETRY_SHUTDOWN_SECONDS="30",
    )
    health, metrics = (f"http://{server.listening[name]}" for name in ("health", "metrics"))
    grpc_port = int(server.listening["otlp_grpc"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", store)) as silent, ThreadPoolExecutor() as pool:
        answer = pool.submit(server.export, "traces", spans(2, uuid.uuid4().bytes))
        with silent.accept()[0]:  # the insert has begun, and nothing will answer it
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: httpx.get(f"{health}/ready", timeout=180).status_code == 503)
            eventually(lambda: not listens(grpc_port))
            assert not answer.done()
            assert httpx.get(f"{health}/live", timeout=180).status_code == 200
            assert httpx.get(f"{metrics}/metrics", timeout=180).status_code == 200
            assert answer.result() == b""
            assert server.process.wait(180) == 0
    assert len(list(server.data.glob("spool/batches/*.stopping/*.block"))) == 1


@pytest.mark.slow
def test_kill_9_right_after_an_acknowledgement_loses_nothing(start: Launch) -> None:
    """Acknowledged means stored, even if the process is killed next."""
    sent = {}
    server = start()
    for count in (1, 20):
        trace = uuid.uuid4().bytes
        server.export("traces", spans(count, trace))
        sent[trace.hex()] = count
    server.kill()
    server = start()
    assert server.stop(signal.SIGTERM) == 0
    (rows,) = server.rows(_COUNT)
    assert {row["TraceId"]: row["spans"] for row in rows} == sent


@pytest.mark.parametrize("name", ["OTLP_GRPC", "OTLP_HTTP", "HEALTH"])
def test_a_taken_port_stops_the_start_with_the_variable_to_set(launch: Launch, taken: int, name: str) -> None:
    """A server without all of its ports does not start."""
    text = refusal(launch(**{f"TELEMETRY_{name}_PORT": str(taken)}))
    assert text == (
        f"Listening on {taken} ({name.lower()}) failed: taken or not allowed. Stop the other program,"
        f" or set TELEMETRY_{name}_PORT to another port (0: any free one)."
    )


def test_all_taken_ports_are_told_before_a_table_is_made(launch: Launch, taken: int) -> None:
    """In one message, without a line of gRPC's before it; the data directory holds its lock alone."""
    server = launch(TELEMETRY_OTLP_GRPC_PORT=str(taken), TELEMETRY_WEB_PORT=str(taken))
    assert refusal(server) == (
        f"Listening on {taken} (otlp_grpc), {taken} (web) failed: taken or not allowed. Stop the other program,"
        " or set TELEMETRY_OTLP_GRPC_PORT, TELEMETRY_WEB_PORT to another port (0: any free one)."
    )
    assert server.log.read_text().startswith("telemetry: Listening")
    assert [path.name for path in server.data.iterdir()] == ["lock"]


@pytest.mark.slow
def test_a_second_server_on_a_data_directory_is_stopped_with_the_remedy(
    start: Launch, launch: Launch
) -> None:
    """And the first goes on."""
    first = start()
    text = refusal(launch(first.data))
    assert text == (
        f"Another server uses the data directory {first.data}: stop it, or set TELEMETRY_DATA_DIR to another one."
    )
    assert first.export("traces", spans(1, uuid.uuid4().bytes)) == b""
    assert first.stop(signal.SIGTERM) == 0


def test_a_data_directory_that_cannot_be_made_stops_the_start(launch: Launch, tmp_path: Path) -> None:
    """The remedy names the variable."""
    (tmp_path / "file").write_text("")
    server = launch(TELEMETRY_DATA_DIR=str(tmp_path / "file" / "data"))
    assert refusal(server) == (
        f"The data directory {tmp_path / 'file' / 'data'} cannot be used (Not a directory): set TELEMETRY_DATA_DIR to a"
        " writable one."
    )


def test_wrong_privacy_rules_stop_the_start_with_every_fault(launch: Launch, tmp_path: Path) -> None:
    """A typing error must never make the rules laxer."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "hash: prompt\nhsah:\n  - prompt\npatterns:\n  - name: broken\n    pattern: '(unclosed'\n"
    )
    text = refusal(launch(TELEMETRY_SANITIZE_CONFIG=str(rules)))
    assert str(rules) in text
    for fault in ("hash", "hsah", "pattern"):
        assert fault in text
    assert not (tmp_path / "launched").exists(), "nothing is made before the rules are known to be right"


def test_wrong_settings_stop_the_start_with_every_fault(launch: Launch) -> None:
    """All at once, so that one start finds them."""
    text = refusal(
        launch(TELEMETRY_HOST="0.0.0.0", TELEMETRY_RETENTION_DAYS="x", TELEMETRY_METRICS_PORT="-1")
    )
    assert [line.partition(":")[0] for line in text.splitlines()] == [
        "TELEMETRY_METRICS_PORT",
        "TELEMETRY_RETENTION_DAYS",
        "TELEMETRY_INGEST_TOKENS",
    ]
