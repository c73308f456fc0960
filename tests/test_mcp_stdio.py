"""MCP over standard input and output: `telemetry mcp`, as Claude Code starts it."""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from tests.mcp_clients import (
    ERAS,
    PLENTY,
    explore,
    exported,
    filled,
    hears_of_exports,
    into,
    port_of,
    refused,
    stdio_of,
)  # fmt: skip
from tests.server import ROOT, Server, free_port, running


@pytest.fixture(scope="module")
def filled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that this module's tests share; its own web process is not needed."""
    with filled(tmp_path_factory.mktemp("stdio") / "data") as server:
        yield server


@pytest.mark.parametrize("version", ERAS)
def test_a_client_of_each_era_uses_everything(filled_server: Server, version: str) -> None:
    """Tools, pages, refusals, resources and prompts are the same in both."""

    async def use() -> None:
        async with Client(stdio_of(filled_server.data, port_of(filled_server)), mode=ERAS[version]) as client:
            assert client.protocol_version == version
            await explore(client)

    asyncio.run(use())


def test_an_export_is_a_file_on_this_machine(filled_server: Server) -> None:
    """In the data directory, for its owner alone, and not in the directory in which the client runs."""

    async def use() -> None:
        async with Client(stdio_of(filled_server.data, port_of(filled_server))) as client:
            made.update(await exported(client, "local"))

    made: dict[str, Any] = {}
    asyncio.run(use())
    path = Path(made["fetch"])
    assert path == (filled_server.data / "exports" / "local" / "0001" / "benchmarks.csv").resolve()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == made["sha256"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_client_of_the_era_before_is_notified_too(filled_server: Server) -> None:
    """By resources/subscribe, over standard output; what never changes cannot be subscribed to."""

    async def use() -> None:
        heard: list[str] = []
        parameters = stdio_of(filled_server.data, port_of(filled_server))
        async with Client(parameters, mode="legacy", message_handler=into(heard)) as client:
            assert client.server_capabilities.resources is not None
            assert client.server_capabilities.resources.subscribe
            await hears_of_exports(client, heard)

    asyncio.run(use())


def test_nothing_but_messages_is_written_to_standard_output(filled_server: Server) -> None:
    """Rubbish is answered in the protocol or passed over, and the end of input is the end."""
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    lines = ["not json\n", json.dumps(hello) + "\n", "\x1b[2J\n"]
    with subprocess.Popen(
        [sys.executable, "-m", "telemetry", "mcp"],
        cwd=ROOT,
        env=stdio_of(filled_server.data, port_of(filled_server)).env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(lines))
        process.stdin.flush()
        answers = []
        for line in process.stdout:
            answers.append(json.loads(line))
            if answers[-1].get("id") == 1:
                process.stdin.close()
                break
        answers += [json.loads(line) for line in process.stdout]
        assert process.wait(180) == 0
    assert {answer["jsonrpc"] for answer in answers} == {"2.0"}
    (answer,) = [one for one in answers if one.get("id") == 1]
    assert answer["result"]["serverInfo"]["name"] == "telemetry"


def test_a_store_that_is_away_is_said_and_used_when_it_is_back(tmp_path: Path) -> None:
    """The process is ready without it, and needs no restart."""
    port = str(free_port())
    asked = {"sql": "SELECT 1 AS one"}

    async def use() -> None:
        async with Client(stdio_of(tmp_path / "data", port)) as client:
            error = refused(await client.call_tool("run_sql", asked))
            assert error["code"] == "STORE_UNAVAILABLE"
            assert error["retry_after_seconds"] > 0
            assert len((await client.list_resources()).resources) == 5
            with running(tmp_path / "data", TELEMETRY_CLICKHOUSE_HTTP_PORT=port) as server:
                result = await client.call_tool("run_sql", asked)
                assert result.structured_content is not None
                assert result.structured_content["rows"] == [[1]]
                server.kill()
                assert refused(await client.call_tool("run_sql", asked))["code"] == "STORE_UNAVAILABLE"

    asyncio.run(use())


def test_questions_are_rationed_and_the_refusal_says_how_long_to_wait(filled_server: Server) -> None:
    """Ten in a row by default; what needs no query is not counted."""

    async def use() -> None:
        rationed = stdio_of(filled_server.data, port_of(filled_server))
        rationed.env = {name: value for name, value in (rationed.env or {}).items() if name not in PLENTY}
        async with Client(rationed) as client:
            for number in range(10):
                result = await client.call_tool("run_sql", {"sql": f"SELECT {number}"})
                assert not result.is_error
            error = refused(await client.call_tool("run_sql", {"sql": "SELECT 10"}))
            assert error["code"] == "RATE_LIMITED"
            assert 0 < error["retry_after_seconds"] <= 6.1
            assert not (await client.call_tool("list_questions", {})).is_error

    asyncio.run(use())
