"""The MCP Inspector's command line against a running server: another client than ours, over both transports.

`TELEMETRY_TEST_INSPECTOR` names its program, `mcp-inspector` of the npm package `@modelcontextprotocol/inspector`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcp_server.resources import EXPORT, LIVE
from tests.mcp_clients import TOOLS, filled, kept, port_of, stdio_of, url
from tests.server import Server

INSPECTOR = os.environ.get("TELEMETRY_TEST_INSPECTOR") or shutil.which("mcp-inspector")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        INSPECTOR is None,
        reason="the MCP Inspector is not installed, nor named by TELEMETRY_TEST_INSPECTOR",
    ),
]


@pytest.fixture(scope="module")
def filled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that this module's tests share."""
    with filled(tmp_path_factory.mktemp("inspector") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def configuration(filled_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the server down, by each of its ways in."""
    parameters = stdio_of(filled_server.data, port_of(filled_server))
    token = kept(filled_server, "TELEMETRY_WEB_TOKEN")
    file = tmp_path_factory.mktemp("configuration") / "mcp.json"
    file.write_text(
        json.dumps(
            {
                "mcpServers": {
                    "stdio": {
                        "type": "stdio",
                        "command": sys.executable,
                        "args": parameters.args,
                        "env": parameters.env,
                    },
                    "http": {
                        "type": "streamable-http",
                        "url": url(filled_server),
                        "headers": {"Authorization": f"Bearer {token}"},
                    },
                }
            }
        )
    )
    return file


def run(*arguments: str) -> str:
    """Run the Inspector; return what it prints."""
    assert INSPECTOR is not None
    done = subprocess.run(
        [INSPECTOR, "--cli", *arguments], capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def inspect(configuration: Path, transport: str, method: str, *arguments: str) -> dict[str, Any]:
    """Call one method; return its result."""
    printed = run("--config", str(configuration), "--server", transport, "--method", method, *arguments)
    found: dict[str, Any] = json.loads(printed[printed.index("{") :])
    return found


@pytest.fixture(scope="module")
def knows_headers() -> bool:
    """Whether this Inspector can show a token: from version 2 on."""
    return "--header" in run("--help")


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_everything_is_there(configuration: Path, transport: str, knows_headers: bool) -> None:  # noqa: FBT001
    """Tools with their fields, an export and what lists it, the live stream, and a prompt."""
    if transport == "http" and not knows_headers:
        pytest.skip("this version of the MCP Inspector sends no headers")
    tools = inspect(configuration, transport, "tools/list")["tools"]
    assert [tool["name"] for tool in tools] == TOOLS
    calls = ("--tool-name", "query_telemetry", "--tool-arg", "query_type=calls", "limit=2")
    rows = inspect(configuration, transport, "tools/call", *calls)["structuredContent"]
    assert (len(rows["rows"]), rows["has_more"]) == (2, True)
    export = ("--tool-name", "export_telemetry", "--tool-arg", "format=csv", f"name=by-{transport}")
    made = inspect(configuration, transport, "tools/call", *export)["structuredContent"]
    assert made["result_id"] == f"by-{transport}/0001"
    (ready,) = inspect(configuration, transport, "resources/read", "--uri", EXPORT)["contents"]
    assert made["rows"][0][3] in ready["text"]
    (live,) = inspect(configuration, transport, "resources/read", "--uri", LIVE)["contents"]
    assert live["text"].startswith('"type","timestamp","event"')
    prompt = ("--prompt-name", "cost_review", "--prompt-args", "days=7")
    (message,) = inspect(configuration, transport, "prompts/get", *prompt)["messages"]
    assert "in the last 7 days" in message["content"]["text"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_its_judgement_of_the_schemas(configuration: Path, era: str, knows_headers: bool) -> None:  # noqa: FBT001
    """--strict fails on a schema that some client cannot use."""
    if not knows_headers:
        pytest.skip("this version of the MCP Inspector does not judge schemas")
    tools = inspect(configuration, "http", "tools/list", "--strict", "--protocol-era", era)["tools"]
    assert [tool["name"] for tool in tools] == TOOLS
