"""MCP over HTTP, as clients of both protocol eras speak it to the web process of a running server."""

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator

import anyio
import httpx
import pytest

from mcp_server.resources import EXPORT, LIVE
from tests.mcp_clients import ERAS, explore, exported, filled, hears_of_exports, kept, over_http, refused, url
from tests.server import NO_TLS, Server, captures


@pytest.fixture(scope="module")
def filled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that this module's tests share."""
    with filled(tmp_path_factory.mktemp("http") / "data") as server:
        yield server


@pytest.mark.parametrize("version", ERAS)
def test_a_client_of_each_era_uses_everything(filled_server: Server, version: str) -> None:
    """Tools, pages, refusals, resources and prompts are the same in both."""

    async def use() -> None:
        async with over_http(filled_server, ERAS[version]) as client:
            assert client.protocol_version == version
            assert "ask_question" in str(client.instructions)
            await explore(client)

    asyncio.run(use())


def test_a_cursor_is_of_its_caller(filled_server: Server) -> None:
    """What another altered is refused in words."""

    async def use() -> None:
        async with over_http(filled_server, "auto") as client:
            page = await client.call_tool("query_telemetry", {"query_type": "calls", "limit": 1})
            assert page.structured_content is not None
            cursor = page.structured_content["next_cursor"]
            altered = cursor[:-2] + ("AA" if not cursor.endswith("AA") else "BB")
            arguments = {"query_type": "calls", "limit": 1, "cursor": altered}
            assert refused(await client.call_tool("query_telemetry", arguments))["code"] == "INVALID_CURSOR"

    asyncio.run(use())


def test_a_wrong_token_is_no_way_in(filled_server: Server) -> None:
    """401 without a hint of OAuth that a client would follow; the token needs its scheme."""
    token = kept(filled_server, "TELEMETRY_WEB_TOKEN")
    for authorization in ("", "Bearer wrong", token, f"Basic {token}", "Bearer \xff"):
        answer = httpx.post(
            url(filled_server),
            json={},
            headers=[("Authorization", authorization.encode("latin-1"))] if authorization else [],
            timeout=180,
            verify=NO_TLS,
        )
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "FORBIDDEN"


def test_who_subscribed_is_told_of_new_records(filled_server: Server) -> None:
    """An update of the live stream arrives when newer events do."""

    async def use() -> None:
        async with over_http(filled_server, "auto") as client:
            with anyio.fail_after(180):
                async with client.listen(resource_subscriptions=[LIVE]) as events:
                    await asyncio.to_thread(_send_now, filled_server)
                    assert (await anext(aiter(events))).uri == LIVE

    asyncio.run(use())


def test_a_client_of_the_era_before_is_notified_too(filled_server: Server) -> None:
    """By resources/subscribe, on the stream of its session."""

    async def use() -> None:
        heard: list[str] = []
        async with over_http(filled_server, "legacy", heard=heard) as client:
            await hears_of_exports(client, heard)

    asyncio.run(use())


def test_a_session_is_its_callers_and_its_loss_costs_no_call(filled_server: Server) -> None:
    """A call of a session that is not known is answered by itself; only the stream needs one."""
    hello = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"},
        },
    }  # fmt: skip
    call = {
        "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "list_questions", "arguments": {}},
    }  # fmt: skip
    headers = {
        "Authorization": f"Bearer {kept(filled_server, 'TELEMETRY_WEB_TOKEN')}",
        "Accept": "application/json, text/event-stream",
    }
    with httpx.Client(headers=headers, timeout=180, verify=NO_TLS) as client:
        opened = client.post(url(filled_server), json=hello)
        session = opened.headers["mcp-session-id"]
        spoken = {"MCP-Protocol-Version": "2025-11-25"}
        for given in (session, "lost", None):
            own = spoken if given is None else {**spoken, "Mcp-Session-Id": given}
            answer = client.post(url(filled_server), json=call, headers=own)
            assert (answer.status_code, "ask_question" in answer.text) == (200, True)
        lost = {**spoken, "Mcp-Session-Id": "lost"}
        assert client.get(url(filled_server), headers=lost).status_code == 404
        assert client.get(url(filled_server), headers=spoken).status_code == 405
        own = {**spoken, "Mcp-Session-Id": session}
        assert client.delete(url(filled_server), headers=own).status_code == 200
        assert client.get(url(filled_server), headers=own).status_code == 404


def test_an_export_is_downloaded_with_the_token(filled_server: Server) -> None:
    """Whole or in part, as a file to save; without the token, or under another name, there is nothing."""

    async def use() -> None:
        async with over_http(filled_server, "auto") as client:
            made = await exported(client, "fetched")
            assert made["fetch"] == "/exports/fetched/0001/benchmarks.csv"
            listed = (await client.read_resource(EXPORT)).contents[0].text
            assert made["sha256"] in listed
            headers = {"Authorization": f"Bearer {kept(filled_server, 'TELEMETRY_WEB_TOKEN')}"}
            async with httpx.AsyncClient(timeout=180, verify=NO_TLS) as web:
                address = url(filled_server, made["fetch"])
                assert (await web.get(address)).status_code == 401
                whole = await web.get(address, headers=headers)
                assert hashlib.sha256(whole.content).hexdigest() == made["sha256"]
                assert whole.headers["content-disposition"] == 'attachment; filename="benchmarks.csv"'
                assert whole.headers["x-content-type-options"] == "nosniff"
                part = await web.get(address, headers={**headers, "Range": "bytes=0-11"})
                assert (part.status_code, part.content) == (206, b"benchmark_id")
                manifest = await web.get(address.replace("benchmarks.csv", "manifest.json"), headers=headers)
                assert manifest.json()["files"][0]["sha256"] == made["sha256"]
                for wrong in (
                    "/exports/fetched/0001/plan.json", "/exports/fetched/0009/benchmarks.csv", "/exports/",
                    "/exports/fetched/0001/..%2f..%2f..%2fcredentials.env", "/exports/..%2f/0001/credentials.env",
                    "/exports/fetched/0001/%2e%2e/%2e%2e/%2e%2e/credentials.env",
                ):  # fmt: skip
                    answer = await web.get(url(filled_server, wrong), headers=headers)
                    assert answer.status_code == 404
                    assert "TELEMETRY_" not in answer.text

    asyncio.run(use())


def _send_now(server: Server) -> None:
    """Send one event of this moment, of the demo's: beside others its own would be left out of questions."""
    document = json.loads(captures("logs", "json")[0].replace(b'"platform"', b'"demo-kraken"'))
    now = str(time.time_ns())
    for resource in document["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                record["timeUnixNano"] = now
    body = json.dumps(document).encode()
    assert server.post("logs", body, "application/json").status_code == 200
