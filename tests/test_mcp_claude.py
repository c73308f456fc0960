"""The real Claude Code, with a model whose calls are scripted: what reaches a model of our tools, by both ways in."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mcp_server.resources import EXPORT, LIVE
from tests.mcp_clients import TOOLS, filled, kept, port_of, stdio_of, url
from tests.messages_api import Model, scripted
from tests.server import Server

CLAUDE = os.environ.get("TELEMETRY_TEST_CLAUDE") or shutil.which("claude")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        CLAUDE is None, reason="Claude Code is not installed, nor named by TELEMETRY_TEST_CLAUDE"
    ),
]


@pytest.fixture(scope="module")
def filled_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that this module's tests share."""
    with filled(tmp_path_factory.mktemp("claude") / "data") as server:
        yield server


def configuration(server: Server, transport: str) -> dict[str, Any]:
    """Return a server as `.mcp.json` has it."""
    if transport == "http":
        headers = {"Authorization": f"Bearer {kept(server, 'TELEMETRY_WEB_TOKEN')}"}
        return {"type": "http", "url": url(server), "headers": headers}
    parameters = stdio_of(server.data, port_of(server))
    return {"type": "stdio", "command": sys.executable, "args": parameters.args, "env": parameters.env}


def claude(model: Model, home: Path, prompt: str, mcp: dict[str, Any], *allowed: str) -> str:
    """Run Claude Code once in a home directory of its own; return what it prints."""
    assert CLAUDE is not None
    file = home / "telemetry-mcp.json"
    file.write_text(json.dumps({"mcpServers": {"telemetry": mcp}}))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_API_KEY": "stand-in",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "ENABLE_TOOL_SEARCH": "false",
        "MCP_TIMEOUT": "120000",
        "MCP_CONNECTION_NONBLOCKING": "0",
    }
    command = [
        CLAUDE, "-p", prompt, "--mcp-config", str(file), "--strict-mcp-config",
        "--allowedTools", ",".join(("Bash", *allowed)),
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=240, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_what_a_model_sees_of_our_tools(filled_server: Server, tmp_path: Path, transport: str) -> None:
    """Descriptions and instructions, fields in place of text, the next page, and a refusal that it can correct by."""
    steps = (
        ("mcp__telemetry__ask_question", {"name": "summary"}),
        ("mcp__telemetry__query_telemetry", {"query_type": "calls", "limit": 3}),
        ("mcp__telemetry__query_telemetry", {"query_type": "call"}),
    )
    mcp = configuration(filled_server, transport)
    with scripted(*steps) as model:
        printed = claude(model, tmp_path, "What did it cost?", mcp, *(name for name, _ in steps))
    assert printed.strip() == "Done."
    last = model.requests[-1]
    names = {tool["name"] for tool in last["tools"]}
    assert {f"mcp__telemetry__{name}" for name in TOOLS} <= names
    assert "Where to begin: ask_question with name=summary" in json.dumps(last["messages"])
    summary, page, refusal = model.results
    assert json.loads(summary)["columns"] == ["measure", "value", "before", "change_percent"]
    rows = json.loads(page)
    assert (len(rows["rows"]), rows["has_more"], bool(rows["next_cursor"])) == (3, True, True)
    assert '"nearest":["calls"]' in refusal


def test_an_aggregate_in_a_script(filled_server: Server, tmp_path: Path) -> None:
    """One tool is allowed by name, and asked with filters, groups and percentiles, as a script would have it."""
    day = datetime.now(UTC)
    arguments = {
        "query_type": "aggregated",
        "filters": {
            "start_date": (day - timedelta(days=7)).strftime("%Y-%m-%dT00:00:00Z"),
            "end_date": day.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "aggregation": {"group_by": ["mcp_server", "task_type"], "metrics": ["avg", "p95", "p99"]},
    }
    tool = "mcp__telemetry__query_telemetry"
    with scripted((tool, arguments)) as model:
        claude(model, tmp_path, "Analyze MCP telemetry data", configuration(filled_server, "stdio"), tool)
    (result,) = model.results
    found = json.loads(result)
    assert {"mcp_server", "task_type", "avg_duration_ms", "p95_duration_ms"} <= set(found["columns"])
    assert found["rows"]


def test_an_export_is_read_as_a_file_and_found_by_a_resource(filled_server: Server, tmp_path: Path) -> None:
    """The tool writes it, the client's own tool reads it, and the resource lists it."""
    path = (filled_server.data / "exports" / "by-claude" / "0001" / "benchmarks.csv").resolve()
    steps = (
        ("mcp__telemetry__export_telemetry", {"format": "csv", "name": "by-claude"}),
        ("Read", {"file_path": str(path)}),
        ("ReadMcpResourceTool", {"server": "telemetry", "uri": EXPORT}),
        ("ReadMcpResourceTool", {"server": "telemetry", "uri": LIVE}),
    )
    with scripted(*steps) as model:
        mcp = configuration(filled_server, "stdio")
        claude(model, tmp_path, "Export it.", mcp, *(name for name, _ in steps))
    made, file, ready, live = model.results
    (row,) = json.loads(made)["rows"]
    assert row[4] == str(path)
    assert "benchmark_id" in file
    assert row[3] in ready
    assert "benchmark_complete" in live


def test_a_prompt_is_a_slash_command(filled_server: Server, tmp_path: Path) -> None:
    """Its arguments go by position."""
    with scripted() as model:
        claude(model, tmp_path, "/mcp__telemetry__cost_review 7", configuration(filled_server, "http"))
    assert "Review what Claude Code cost in the last 7 days." in json.dumps(model.requests[-1]["messages"])


def test_the_largest_answer_reaches_the_model_whole(filled_server: Server, tmp_path: Path) -> None:
    """It is shorter than what Claude Code puts into a file."""
    arguments = {
        "sql": "SELECT number, repeat('x', 90) AS text FROM numbers(1000)",
        "limit": 1000,
        "max_characters": 45_000,
    }
    with scripted(("mcp__telemetry__run_sql", arguments)) as model:
        claude(model, tmp_path, "Show it.", configuration(filled_server, "http"), "mcp__telemetry__run_sql")
    (result,) = model.results
    assert 40_000 < len(result) <= 45_000
    assert json.loads(result)["truncated"]
