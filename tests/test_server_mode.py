"""One server writes to another: the receiver of server mode, against a real ClickHouse interface."""

from collections.abc import Callable, Iterator

import pytest

from tests.gateway.client import GatewayClient
from tests.server import Server, captures, running


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start an embedded server that serves as the ClickHouse to write to; one test writes to it."""
    with running(tmp_path_factory.mktemp("store") / "data", TELEMETRY_RETENTION_DAYS="3650") as server:
        yield server


def test_a_receiver_writes_to_another_servers_tables(store: Server, start: Callable[..., Server]) -> None:
    """Every signal, every row, in the tables that either of them made; the second start changes nothing."""
    client = GatewayClient(store, "telemetry_user")
    pointed = {
        "CLICKHOUSE_URL": f"http://{store.listening['clickhouse_http']}",
        "CLICKHOUSE_PASSWORD": client.auth[1],
        "TELEMETRY_RETENTION_DAYS": "3650",
    }
    receiver = start(**pointed)
    assert "clickhouse_http" not in receiver.listening, "that server has one"
    for name in ("logs", "traces", "metrics"):
        for body in captures(name):
            assert receiver.post(name, body).status_code == 200
    sent = {
        name: int(receiver.metric("telemetry_accepted_records_total", signal=name))
        for name in ("logs", "traces")
    }
    assert int(client.text("SELECT count() FROM otel_logs")) == sent["logs"] == 33
    assert int(client.text("SELECT count() FROM otel_traces")) == sent["traces"] > 0
    assert int(client.text("SELECT count() FROM otel_metrics_sum")) > 0
    assert int(client.text("SELECT count() FROM otel_traces_trace_id_ts")) > 0, "views are filled too"
    assert client.text("SELECT countIf(LogAttributes['prompt'] LIKE 'sha256:%') > 0 FROM otel_logs") == "1\n"
    assert receiver.stop() == 0
    assert (store.data / "credentials.env").exists()
    assert not (receiver.data / "credentials.env").exists()
    again = start(**pointed)
    assert "Schema migrated." not in again.log.read_text()


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"CLICKHOUSE_PASSWORD": "wrong"}, "check CLICKHOUSE_URL, CLICKHOUSE_USER and CLICKHOUSE_PASSWORD"),
    ],
)
def test_a_server_that_cannot_be_used_stops_the_start(
    store: Server, start: Callable[..., Server], change: dict[str, str], remedy: str
) -> None:
    """With what to check, and without the password."""
    pointed = {"CLICKHOUSE_URL": f"http://{store.listening['clickhouse_http']}", "CLICKHOUSE_PASSWORD": "x"}
    with pytest.raises(AssertionError, match="the server exited with 1") as stopped:
        start(**{**pointed, **change})
    assert remedy in str(stopped.value)
    assert "wrong" not in str(stopped.value).replace("wrong password", "")
