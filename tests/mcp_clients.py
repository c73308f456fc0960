"""MCP clients of a running server, by each way in; and the server that they share, with a little invented data."""

import json
import os
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp import Client, MCPDeprecationWarning, MCPError
from mcp.client.session import MessageHandlerFnT
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ResourceUpdatedNotification

from demo.generate import Ledger, Plan, generate
from demo.send import connect, send
from mcp_server.resources import EXPORT
from tests.server import AS_INSTALLED, NO_TLS, ROOT, Server, eventually, running

ERAS = {"2026-07-28": "auto", "2025-11-25": "legacy"}
"""What a client asks for, by the version that it gets."""
TOOLS = [
    "query_telemetry", "analyze_patterns", "get_statistics", "tail_telemetry", "list_questions", "ask_question",
    "describe_data", "run_sql", "export_telemetry", "investigate", "query_metrics", "search_logs", "get_traces",
    "list_services", "get_service_metrics", "discover", "detect_anomalies", "compare_time_windows", "correlate_metrics",
]  # fmt: skip
PLENTY = {"TELEMETRY_QUERIES_PER_MINUTE": "100000", "TELEMETRY_QUERIES_AT_ONCE": "100000"}


@contextmanager
def filled(data: Path, **more: str) -> Iterator[Server]:
    """Start a server with its web process, and some sessions of the last days."""
    environment = {"TELEMETRY_WEB_PORT": "0", "TELEMETRY_BATCH_AGE_MS": "0", **PLENTY, **more}
    with running(data, **environment) as server:
        with connect(f"http://{server.listening['otlp_grpc']}", "grpc", "") as export:
            for _ in send(generate(Plan(seed=3, sessions=12, users=3, days=3), Ledger()), export):
                pass
        server.wait_until_stored()
        wait_for_web(server)
        yield server


def url(server: Server, path: str = "/mcp") -> str:
    """Return an address of the web process."""
    return f"http://{server.listening['web']}{path}"


def wait_for_web(server: Server) -> None:
    """Wait until the web process answers."""

    def answers() -> bool:
        try:
            return httpx.get(url(server, "/health"), timeout=60, verify=NO_TLS).status_code == 200
        except httpx.TransportError:
            return False

    eventually(answers, 180)


def kept(server: Server, name: str) -> str:
    """Return a secret that the server generated."""
    lines = (server.data / "credentials.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)[name]


@asynccontextmanager
async def over_http(
    server: Server, mode: str, token: str | None = None, heard: list[str] | None = None
) -> AsyncIterator[Client]:
    """Connect to the web process, with the generated token unless another is given."""
    bearer = kept(server, "TELEMETRY_WEB_TOKEN") if token is None else token
    headers = {"Authorization": f"Bearer {bearer}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=180, trust_env=False) as http,
        Client(
            streamable_http_client(url(server), http_client=http), mode=mode, message_handler=into(heard)
        ) as client,
    ):
        yield client


def into(heard: list[str] | None) -> MessageHandlerFnT | None:
    """Return a handler that puts the addresses of updated resources into a list."""
    if heard is None:
        return None

    async def keep(message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(str(message.params.uri))

    return keep


def port_of(server: Server) -> str:
    """Return the port of a server's ClickHouse interface."""
    return server.listening["clickhouse_http"].rpartition(":")[2]


def stdio_of(data: Path, port: str) -> StdioServerParameters:
    """Return how to start `telemetry mcp` beside a server with this data directory and ClickHouse interface."""
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "telemetry", "mcp"],
        cwd=ROOT,
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **AS_INSTALLED,
            **PLENTY,
            "TELEMETRY_DATA_DIR": str(data),
            "TELEMETRY_CLICKHOUSE_HTTP_PORT": port,
        },
    )


def refused(result: Any) -> dict[str, Any]:
    """Return why a call was refused."""
    assert result.is_error
    (part,) = result.content
    error: dict[str, Any] = json.loads(part.text)["error"]
    return error


async def exported(client: Client, name: str) -> dict[str, Any]:
    """Make an export, and return the row of its one file, by column."""
    result = await client.call_tool("export_telemetry", {"format": "csv", "name": name})
    assert result.structured_content is not None, result.content
    assert result.structured_content["result_id"].startswith(f"{name}/")
    (row,) = result.structured_content["rows"]
    return dict(zip(result.structured_content["columns"], row, strict=True))


async def hears_of_exports(client: Client, heard: list[str]) -> None:
    """Subscribe as a client of 2025-11-25, make exports until a notification arrives, and unsubscribe."""
    with anyio.fail_after(180), warnings.catch_warnings():
        # The package's client warns of what the present era has no more.
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        await client.subscribe_resource(EXPORT)
        while EXPORT not in heard:
            await exported(client, "heard")
            await anyio.sleep(0.5)
        await client.unsubscribe_resource(EXPORT)
        with pytest.raises(MCPError, match=EXPORT):
            await client.subscribe_resource("telemetry://questions")


async def explore(client: Client) -> None:
    """Use everything that the server has, and check the form of each answer."""
    assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
    result = await client.call_tool("ask_question", {"name": "summary"})
    assert not result.is_error
    assert result.structured_content is not None
    assert result.structured_content["columns"] == ["measure", "value", "before", "change_percent"]
    # The same as text, a row a line, for clients that know no fields.
    (part,) = result.content
    assert json.loads(part.text) == result.structured_content
    assert len(part.text.splitlines()) > len(result.structured_content["rows"])
    calls = await client.call_tool("query_telemetry", {"query_type": "calls", "limit": 2})
    assert calls.structured_content is not None
    assert len(calls.structured_content["rows"]) == 2
    following = await client.call_tool(
        "query_telemetry",
        {"query_type": "calls", "limit": 2, "cursor": calls.structured_content["next_cursor"]},
    )
    assert following.structured_content is not None
    assert following.structured_content["rows"] != calls.structured_content["rows"]
    counted = await client.call_tool("run_sql", {"sql": "SELECT count() > 0 AS any FROM telemetry_events"})
    assert counted.structured_content is not None
    assert counted.structured_content["rows"] == [[True]]
    tail = await client.call_tool("tail_telemetry", {"wait_seconds": 0})
    assert tail.structured_content is not None
    assert tail.structured_content["next_cursor"]
    error = refused(await client.call_tool("query_telemetry", {"query_type": "call"}))
    assert (error["code"], error["field"], error["nearest"]) == ("UNKNOWN_NAME", "query_type", ["calls"])
    resources = (await client.list_resources()).resources
    assert len(resources) == 5 + 10
    session = next(one for one in resources if one.uri.startswith("telemetry://session/"))
    for resource in (*resources[:5], session):
        (content,) = (await client.read_resource(resource.uri)).contents
        assert content.mime_type == resource.mime_type
        assert len(content.text) > 100
    prompts = (await client.list_prompts()).prompts
    assert [prompt.name for prompt in prompts] == [
        "incident_triage", "cost_review", "why_slow", "session_review", "compare_weeks",
    ]  # fmt: skip
    for prompt in prompts:
        (message,) = (await client.get_prompt(prompt.name)).messages
        assert "ask_question" in message.content.text
