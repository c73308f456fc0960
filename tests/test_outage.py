"""A ClickHouse server that is away, comes, goes and hangs: real processes, real signals, every row counted."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.server import NO_TLS, Server, captures, eventually, free_port, running

PASSWORD = "a-password-of-the-test"
COUNTS = (
    "SELECT (SELECT count() FROM otel_logs), (SELECT count() FROM otel_traces),"
    " (SELECT count() FROM otel_metrics_sum), (SELECT uniqExact(TraceId) FROM otel_traces),"
    " (SELECT count() FROM otel_traces_trace_id_ts)"
)


@pytest.fixture
def port() -> int:
    """Find a port for a server that is started later."""
    return free_port()


@pytest.fixture
def black_hole() -> Iterator[int]:
    """Listen, and never answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener.getsockname()[1]


def pointed(port: int, **more: str) -> dict[str, str]:
    return {
        "CLICKHOUSE_URL": f"http://127.0.0.1:{port}",
        "CLICKHOUSE_PASSWORD": PASSWORD,
        "CLICKHOUSE_CONNECT_SECONDS": "1",
        "TELEMETRY_RETENTION_DAYS": "3650",
        "TELEMETRY_BATCH_AGE_MS": "0",
        "TELEMETRY_RESEND_SECONDS": "900",
        **more,
    }


def ready(server: Server) -> dict[str, object]:
    found = httpx.get(f"http://127.0.0.1:{server.health_port}/ready", timeout=60, verify=NO_TLS).json()
    return dict(found["store"])


def ask(store: Server, sql: str) -> str:
    """Read the tables of a running server."""
    answer = httpx.post(
        f"http://{store.listening['clickhouse_http']}/",
        content=sql,
        auth=("telemetry_user", PASSWORD),
        timeout=180,
        verify=NO_TLS,
    )
    assert answer.status_code == 200, answer.text
    return answer.text


def send(server: Server) -> int:
    """Send every capture once, and return the number of requests."""
    sent = 0
    for name in ("logs", "traces", "metrics"):
        for body in captures(name):
            assert server.post(name, body).status_code == 200
            sent += 1
    return sent


@pytest.mark.slow
def test_what_is_acknowledged_without_a_server_is_there_once_it_comes(
    start: Callable[..., Server], tmp_path: Path, port: int
) -> None:
    """Over a kill, a restart and resent requests: every record once, also in the tables that views feed."""
    receiver = start(**pointed(port))
    assert ready(receiver) == {"status": "ok"}, "nothing has been tried yet"
    send(receiver)
    assert ready(receiver) == {"status": "away", "troubles": {"all": "CONNECTION_REFUSED"}}
    sent = [receiver.metric("telemetry_accepted_records_total", signal=name) for name in ("logs", "traces")]
    waiting = receiver.metric("telemetry_waiting_blocks")
    assert waiting == receiver.metric("telemetry_spooled_blocks_total") > 0
    assert receiver.metric("telemetry_store_up") == 0
    receiver.kill()
    receiver = start(**pointed(port))
    assert receiver.metric("telemetry_waiting_blocks") == waiting
    send(receiver)
    assert receiver.metric("telemetry_resent_records_total") == receiver.metric(
        "telemetry_received_records_total"
    )
    with running(
        tmp_path / "store",
        TELEMETRY_CLICKHOUSE_HTTP_PORT=str(port),
        CLICKHOUSE_PASSWORD=PASSWORD,
        TELEMETRY_RETENTION_DAYS="3650",
    ) as store:
        eventually(lambda: receiver.metric("telemetry_waiting_blocks") == 0, 180)
        logs, spans, sums, traces, lookups = map(int, ask(store, COUNTS).split())
        assert [logs, spans] == sent
        assert sums > 0
        assert lookups >= traces > 0
        assert ready(receiver) == {"status": "ok"}
        eventually(lambda: not any((receiver.data / "spool/batches").iterdir()))
        assert receiver.stop() == 0


@pytest.mark.slow
def test_a_receiver_that_can_store_nothing_is_not_ready(
    start: Callable[..., Server], tmp_path: Path, port: int
) -> None:
    """Once the spool is full, after the time that is set; it is ready again when the store takes what waits."""
    receiver = start(
        **pointed(
            port,
            TELEMETRY_SPOOL_BYTES=str(1 << 20),
            TELEMETRY_UNREADY_SECONDS="10",
            TELEMETRY_SANITIZE_LEVEL="off",
        )
    )
    probe = f"http://127.0.0.1:{receiver.health_port}/ready"
    assert [post(receiver, "a" * 700_000), post(receiver, "b" * 700_000)] == [200, 503]
    assert httpx.get(probe, verify=NO_TLS, timeout=180).status_code == 200, "the time is not over"
    eventually(lambda: httpx.get(probe, verify=NO_TLS, timeout=180).status_code == 503)
    answer = httpx.get(probe, verify=NO_TLS, timeout=180).json()
    assert (answer["status"], answer["troubles"]) == ("not ready", {"all": "CONNECTION_REFUSED"})
    assert answer["reason"].startswith("nothing can be stored")
    with running(
        tmp_path / "store",
        TELEMETRY_CLICKHOUSE_HTTP_PORT=str(port),
        CLICKHOUSE_PASSWORD=PASSWORD,
        TELEMETRY_RETENTION_DAYS="3650",
    ):
        eventually(lambda: httpx.get(probe, verify=NO_TLS, timeout=180).status_code == 200, 180)
        assert post(receiver, "c" * 700_000) == 200


def post(server: Server, text: str) -> int:
    """Send a log record with this body, and return the status."""
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": text}}
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    return server.post("logs", body, "application/json").status_code


@pytest.mark.slow
def test_a_server_that_hangs_does_not_hold_up_the_stop(start: Callable[..., Server], black_hole: int) -> None:
    """Requests under way go to the spool and are acknowledged, within the time for stopping."""
    receiver = start(**pointed(black_hole, TELEMETRY_SHUTDOWN_SECONDS="4", CLICKHOUSE_INSERT_SECONDS="600"))
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(receiver.post, "logs", captures("logs")[0])
        eventually(lambda: receiver.metric("telemetry_received_records_total") > 0)
        began = time.monotonic()
        assert receiver.stop() == 0
        assert answer.result().status_code == 200
    assert time.monotonic() - began < 150, "the insert's own ten minutes were waited for"
    (batch,) = (receiver.data / "spool/batches").iterdir()
    assert batch.suffix == ".stopping"
    assert sorted(path.name for path in batch.iterdir()) == ["00.otel_logs.block", "requests"]
