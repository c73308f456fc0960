"""No web page sends or asks through a browser: names, origins and what the browser says of the page, on every port."""

from collections.abc import Iterator

import httpx
import pytest

from config.own_names import OwnNames
from tests.gateway.client import GatewayClient
from tests.server import NO_TLS, Server, running

PORTS = {
    "otlp_http": "/v1/logs",
    "clickhouse_http": "/?query=SELECT+1",
    "metrics": "/metrics",
    "health": "/ready",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that has a name and lets one page send."""
    names = {"TELEMETRY_HOST_NAMES": "mine.example", "TELEMETRY_CORS_ORIGINS": "https://*.example"}
    with running(tmp_path_factory.mktemp("server") / "data", **names) as server:
        yield server


def ask(server: Server, port: str, **headers: str) -> int:
    """Ask one port as a page would, with a browser's cached password where there is one."""
    reader = GatewayClient(server, "telemetry_reader")
    url = f"http://{server.listening[port]}{PORTS[port]}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    method = "POST" if port == "otlp_http" else "GET"
    sent = {"content-type": "application/json", **named}
    auth = reader.auth if port == "clickhouse_http" else None
    body = b"{}" if port == "otlp_http" else b""
    return httpx.request(
        method, url, headers=sent, content=body, auth=auth, timeout=180, verify=NO_TLS
    ).status_code


@pytest.mark.parametrize("port", PORTS)
def test_a_port_on_loopback_refuses_pages(server: Server, port: str) -> None:
    """Under a name that was rebound, from another origin, and from another site."""
    number = server.listening[port].rpartition(":")[2]
    before = server.metric("telemetry_refused_pages_total", port=port)
    for host in (
        f"evil.example:{number}",
        "evil.example",
        "localhost.evil.example",
        "192.168.1.7",
        "127.0.0.1.nip.io",
    ):
        assert ask(server, port, Host=host) == 421
    for headers in (
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"},
    ):
        assert ask(server, port, **headers) == 403
    assert server.metric("telemetry_refused_pages_total", port=port) == before + 10


@pytest.mark.parametrize("port", PORTS)
def test_programs_and_the_own_pages_are_answered(server: Server, port: str) -> None:
    """By each name of loopback, and by the names of the settings."""
    number = server.listening[port].rpartition(":")[2]
    for host in (
        f"localhost:{number}",
        "LOCALHOST",
        f"127.0.0.1:{number}",
        "[::1]:1",
        "127.9.9.9",
        "mine.example",
    ):
        assert ask(server, port, Host=host) == 200
    own = server.listening[port]
    assert ask(server, port, Host=own, Origin=f"http://{own}", Sec_Fetch_Site="same-origin") == 200
    assert ask(server, port, Sec_Fetch_Site="none") == 200


def test_pages_that_may_send_are_let_in(server: Server) -> None:
    """TELEMETRY_CORS_ORIGINS is for the port that takes telemetry, and for no other."""
    given = {"Origin": "https://app.example", "Sec_Fetch_Site": "cross-site"}
    assert ask(server, "otlp_http", **given) == 200
    assert ask(server, "clickhouse_http", **given) == 403


def test_elsewhere_a_proxy_may_have_another_name() -> None:
    """On an address of a network a Host is not checked, since an address cannot be rebound."""
    own = OwnNames("0.0.0.0", ("telemetry.example",))
    assert own.is_known("10.1.2.3:80")
    assert own.is_known("Telemetry.Example")
    assert not own.is_known("evil.example")
    assert not own.is_foreign({"host": "a:1", "origin": "http://a:1", "sec-fetch-site": "same-origin"})
    assert own.is_foreign({"host": "a:1", "origin": "http://a:2"})
