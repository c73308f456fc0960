"""The web process: who may ask it, what it refuses, that it comes back, and that it ends with the server."""

import asyncio
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.certificates import Authority
from tests.mcp_clients import PLENTY, filled, kept, over_http, url, wait_for_web
from tests.server import NO_TLS, Server, eventually, running
from web.guard import REQUEST_BYTES, Admission, Guard

ASK = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "list_questions", "arguments": {}},
}
SPOKEN = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


@pytest.fixture(scope="module")
def filled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that this module's tests share."""
    with filled(tmp_path_factory.mktemp("web") / "data", TELEMETRY_BODY_TIMEOUT_SECONDS="2") as server:
        yield server


def ask(server: Server, method: str = "POST", path: str = "/mcp", **headers: str) -> httpx.Response:
    """Send one call of a tool, with the token, and with these headers."""
    return httpx.request(
        method,
        url(server, path),
        json=ASK if method == "POST" else None,
        headers={
            "Authorization": f"Bearer {kept(server, 'TELEMETRY_WEB_TOKEN')}",
            **SPOKEN,
            **headers,
        },
        timeout=180,
        verify=NO_TLS,
    )


def child(server: Server) -> int:
    """Return the process id of the web process, 0 while there is none."""
    pid = server.process.pid
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [
            number
            for number in (task / "children").read_text().split()
            if b"--listener" in Path(f"/proc/{number}/cmdline").read_bytes()
        ]
    return int(found[0]) if found else 0


def is_alive(pid: int) -> bool:
    """Whether a process runs, and is not only waiting for its end to be read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_call_with_the_token_is_answered(filled_server: Server) -> None:
    """Nothing else is needed on this machine."""
    answer = ask(filled_server)
    assert answer.status_code == 200
    assert "ask_question" in answer.text


def test_prometheus_api_is_behind_the_same_guard(filled_server: Server) -> None:
    """Without the token there is no metric; with it, the own metrics are answered in PromQL."""
    path = "/prometheus/api/v1/query?query=sum(present_over_time(claude_code_cost_usage_USD_total[4d]))"
    assert httpx.get(url(filled_server, path), timeout=180).status_code == 401
    answer = ask(filled_server, "GET", path)
    assert (answer.status_code, answer.json()["data"]["resultType"]) == (200, "vector")
    assert float(answer.json()["data"]["result"][0]["value"][1]) > 0


def test_the_own_store_is_connected_from_the_start(filled_server: Server) -> None:
    """Under the name telemetry; its health is checked as any other's."""
    found = ask(filled_server, "GET", "/api/v1/observability/connections").json()["connections"]
    (own,) = [one for one in found if one["name"] == "telemetry"]
    assert own["backend_type"] == "clickhouse"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "[::", ""]
)
def test_a_name_that_leads_here_is_refused(filled_server: Server, host: str) -> None:
    """A page could have its own name lead to this machine (DNS rebinding); it would then be of the same origin."""
    for path in ("/mcp", "/health", "/metrics"):
        answer = ask(filled_server, "POST" if path == "/mcp" else "GET", path, Host=host)
        assert answer.status_code in {400, 421}
        assert "TELEMETRY_WEB_NAMES" in answer.text or not host


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"])
def test_this_machines_own_names_are_known(filled_server: Server, host: str) -> None:
    """By whatever port a tunnel leads here."""
    assert ask(filled_server, "GET", "/health", Host=host).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost", "http://127.0.0.1:1", "x"]
)
def test_a_page_of_another_origin_is_refused(filled_server: Server, origin: str) -> None:
    """With the right token too."""
    answer = ask(filled_server, Origin=origin)
    assert (answer.status_code, answer.json()["error"]["field"]) == (403, "Origin")
    assert ask(filled_server, Origin=url(filled_server, "")).status_code == 200


def test_names_of_a_proxy_are_known_when_they_are_set() -> None:
    """On another address any address is known, and no name but those."""
    admission = Admission("0.0.0.0", ("telemetry.example",), ())
    known = ("telemetry.example", "Telemetry.Example:443", "192.168.1.5:8080", "[fe80::1]", "localhost")
    assert [host for host in known if not admission.own.is_known(host)] == []
    assert [
        host for host in ("evil.example", "xtelemetry.example", "", "a b") if admission.own.is_known(host)
    ] == []


def test_there_is_no_session_to_open_or_end(filled_server: Server) -> None:
    """As the stateless protocol has it."""
    for method in ("GET", "DELETE", "PUT", "OPTIONS"):
        answer = ask(filled_server, method)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_request_has_a_size_and_a_time(filled_server: Server) -> None:
    """A body over a MiB is refused unread, one that does not end is given up, and the process answers others."""
    token = kept(filled_server, "TELEMETRY_WEB_TOKEN")
    head = (
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {{}}\r\n\r\n"
    )
    for length, status in ((REQUEST_BYTES + 1, b"413"), (100, b"408")):
        with filled_server.connect("web") as connection:
            connection.sendall(head.format(length).encode() + b"{")
            assert connection.recv(100).split()[1] == status
    assert ask(filled_server).status_code == 200


def test_a_flood_of_calls_is_answered_or_told_to_come_again(filled_server: Server) -> None:
    """A thousand at once, with TELEMETRY_TEST_FLOOD ten thousand: the process lives, and says when to call again."""

    async def flood() -> set[str]:
        token = kept(filled_server, "TELEMETRY_WEB_TOKEN")
        host, _, port = filled_server.listening["web"].rpartition(":")
        body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nAccept: {SPOKEN['Accept']}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        seen: set[str] = set()

        async def one() -> None:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head + body)
            first = (await reader.readline()).split()
            rest = await reader.read()
            if first:
                status = first[1].decode()
                seen.add(status)
                assert status == "200" or b"etry-after: 2" in rest.lower()
            writer.close()

        # The backlog of the socket is a thousand.
        waves = [asyncio.gather(*(one() for _ in range(1_000)), return_exceptions=True) for _ in range(WAVES)]
        for results in await asyncio.gather(*waves):
            wrong = [
                one for one in results if isinstance(one, BaseException) and not isinstance(one, OSError)
            ]
            assert wrong == []
        return seen

    before = child(filled_server)
    assert asyncio.run(flood()) <= {"200", "503"}
    # Calls whose client has gone may be under way a moment longer.
    eventually(lambda: ask(filled_server).status_code == 200)
    assert child(filled_server) == before


WAVES = 10 if os.environ.get("TELEMETRY_TEST_FLOOD") else 1


def test_requests_beyond_the_bound_are_refused_at_once() -> None:
    """With when to send them again, in the form of every refusal; one that ends makes room for another."""

    async def use() -> None:
        going = asyncio.Event()

        async def slow(_scope: Any, _receive: Any, send: Any) -> None:
            await going.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

        guard = Guard(slow, Admission("127.0.0.1", (), [("alice", "hunter2")]), body_seconds=5, at_a_time=2)
        transport = httpx.ASGITransport(guard)
        headers = {"Authorization": "Bearer hunter2"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers, verify=NO_TLS
        ) as client:
            first = [asyncio.create_task(client.post("/mcp")) for _ in range(2)]
            await asyncio.sleep(0)
            while not (third := await client.post("/mcp")).is_error:
                pass
            assert (third.status_code, third.headers["retry-after"]) == (503, "2")
            assert third.json()["error"]["code"] == "BUSY"
            going.set()
            assert [answer.status_code for answer in await asyncio.gather(*first)] == [204, 204]
            assert (await client.post("/mcp")).status_code == 204

    asyncio.run(use())


def test_metrics_count_calls_and_refusals_by_tool(filled_server: Server) -> None:
    """What a caller named itself is no label."""

    async def use() -> None:
        async with over_http(filled_server, "auto") as client:
            for _ in range(2):
                await client.call_tool("ask_question", {"name": "cost"})
            await client.call_tool("ask_question", {"name": "x"})
            await client.call_tool("drop_\x1b[2J", {})

    asyncio.run(use())
    text = httpx.get(url(filled_server, "/metrics"), timeout=180, verify=NO_TLS).text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values['telemetry_web_calls_total{tool="ask_question"}']) >= 3
    assert float(values['telemetry_web_refusals_total{code="UNKNOWN_NAME",tool="ask_question"}']) >= 1
    assert float(values['telemetry_web_refusals_total{code="UNKNOWN_NAME",tool="other"}']) >= 1
    assert float(values['telemetry_web_cached_answers_total{tool="ask_question"}']) >= 1
    assert float(values['telemetry_web_answer_characters_total{tool="ask_question"}']) > 1_000
    assert float(values['telemetry_web_call_seconds_count{tool="ask_question"}']) >= 3
    assert "drop_" not in text


def test_ctrl_c_reaches_the_server_alone(filled_server: Server) -> None:
    """A terminal sends it to its whole group, and a process that is still starting would say that it was aborted."""
    assert os.getpgid(child(filled_server)) != os.getpgid(filled_server.process.pid)


def test_killed_it_comes_back_and_ingest_does_not_notice(filled_server: Server) -> None:
    """The server takes records meanwhile, is ready, and starts the process again on the same port."""
    before = child(filled_server)
    os.kill(before, signal.SIGKILL)
    assert filled_server.post("logs", b"").status_code == 200
    eventually(lambda: child(filled_server) not in {0, before}, 180)
    wait_for_web(filled_server)
    assert ask(filled_server).status_code == 200
    assert filled_server.process.poll() is None
    assert "The web process ended and is started again." in filled_server.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_server(tmp_path: Path, number: int) -> None:
    """Whether the server stops in order or dies; its port is free again."""
    with running(tmp_path / "data", TELEMETRY_WEB_PORT="0", **PLENTY) as server:
        wait_for_web(server)
        pid = child(server)
        assert pid
        code = server.stop(number)
        assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        eventually(lambda: not is_alive(pid), 180)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", int(server.listening["web"].rpartition(":")[2])))
        log = server.log.read_text()
        assert "Traceback" not in log
        if number == signal.SIGTERM:
            assert "did not stop in time" not in log


def test_tokens_and_tls_are_those_of_the_settings(tmp_path: Path) -> None:
    """Named tokens on an address that others reach, and the certificate of the other ports."""
    authority = Authority(tmp_path, "ours")
    pair = authority.issue("server")
    with running(
        tmp_path / "data",
        TELEMETRY_WEB_PORT="0",
        TELEMETRY_WEB_HOST="0.0.0.0",
        TELEMETRY_WEB_TOKENS="alice:hunter2-a,bob:hunter2-b",
        TELEMETRY_TLS_CERTIFICATE=str(pair.certificate),
        TELEMETRY_TLS_KEY=str(pair.key),
    ) as server:
        assert server.listening["web"].startswith("https://0.0.0.0:")
        address = f"https://127.0.0.1:{server.listening['web'].rpartition(':')[2]}"
        context: ssl.SSLContext = authority.context()

        def status(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}", **SPOKEN}
            return httpx.post(
                f"{address}/mcp", json=ASK, headers=headers, timeout=180, verify=context
            ).status_code

        def answers() -> bool:
            try:
                return httpx.get(f"{address}/health", timeout=60, verify=context).status_code == 200
            except httpx.TransportError:
                return False

        eventually(answers, 180)
        assert {token: status(token) for token in ("hunter2-a", "hunter2-b", "alice", "hunter2")} == {
            "hunter2-a": 200, "hunter2-b": 200, "alice": 401, "hunter2": 401,
        }  # fmt: skip
        assert "TELEMETRY_WEB_TOKEN" not in (server.data / "credentials.env").read_text()
        assert "hunter2" not in server.log.read_text()
