"""The real Claude Code at the settings that `telemetry setup` writes: what is sent, stored and answered."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.messages_api import scripted
from tests.server import ROOT, Server, running
from tests.test_demo import own, rows_of

CLAUDE = os.environ.get("TELEMETRY_TEST_CLAUDE") or shutil.which("claude")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        CLAUDE is None, reason="Claude Code is not installed, nor named by TELEMETRY_TEST_CLAUDE"
    ),
]
PROMPT = "Build the zanzibar plan, please"
STEPS = (
    ("Bash", {"command": "echo zanzibar >&2; exit 3", "description": "Fail"}),
    ("Bash", {"command": "true", "description": "Work"}),
    ("Bash", {"cmd": "no such field"}),  # the client finds this input invalid
    ("WebFetch", {"url": "https://example.com/", "prompt": "zanzibar"}),  # no rule allows it
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that has nothing but what the client sends."""
    with running(tmp_path_factory.mktemp("claude") / "data", TELEMETRY_BATCH_AGE_MS="0") as server:
        yield server


@pytest.mark.parametrize("content", ["none", "tool-details,prompts"])
def test_a_session_at_the_settings_of_setup(store: Server, tmp_path: Path, content: str) -> None:
    """All signals arrive, content is nowhere, refusals are told apart, and the transcript adds nothing."""
    assert CLAUDE is not None
    program = [sys.executable, "-m", "telemetry"]
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk'}", **own(store),
        "TELEMETRY_OTLP_GRPC_PORT": store.listening["otlp_grpc"].rpartition(":")[2],
    }  # fmt: skip
    run([*program, "setup", "--yes", "--content", content], environment, tmp_path)
    before = set(sessions(store))
    with scripted(*STEPS) as model:
        client = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_API_KEY": "stand-in", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }  # fmt: skip
        tools = ["--allowedTools", "Bash", "--mcp-config", '{"mcpServers":{}}', "--strict-mcp-config"]
        model.needs_servers = False
        printed = run([CLAUDE, "-p", PROMPT, *tools], client, tmp_path)
    assert printed.strip() == "Done."
    (session,) = set(sessions(store)) - before
    where = f"session_id = '{session}'"
    results = rows_of(
        store,
        f"SELECT tool_name, success, failure FROM telemetry_events WHERE {where} AND event_type = 'tool_result'"
        " ORDER BY timestamp",
    )
    assert results == ['"Bash",false,"tool Bash ShellError"', '"Bash",true,""']
    decided = rows_of(
        store,
        f"SELECT tool_name, decision, count() FROM telemetry_events WHERE {where} AND event_type = 'tool_decision'"
        " GROUP BY ALL ORDER BY ALL",
    )
    assert decided[0] == '"Bash","accept",2'
    for table in ("otel_logs", "otel_traces", "otel_metrics_sum"):
        stored = rows_of(store, f"SELECT toString(tuple(*)) FROM {table}")
        assert stored, table
        assert [row for row in stored if "zanzibar" in row] == [], table
    # It ran for seconds, and sent its metrics when it ended.
    compared = rows_of(
        store,
        f"SELECT sum(Value) = (SELECT sum(output_tokens) FROM telemetry_events WHERE {where}) FROM otel_metrics_sum"
        f" WHERE MetricName = 'claude_code.token.usage' AND Attributes['session.id'] = '{session}'"
        " AND Attributes['type'] = 'output'",
    )
    assert compared == ["1"]
    history = run([*program, "import", "--dry-run"], environment, tmp_path)
    added = history.partition(": ")[2].partition(".")[0] if "Would add" in history else ""
    # A refusal that an older client kept for itself is in its transcript alone.
    assert added in {"", "1 tool_decision"}, history
    assert "1 calls whose input the client refused" in history


def sessions(store: Server) -> list[str]:
    found = rows_of(
        store, "SELECT DISTINCT session_id FROM telemetry_events WHERE event_type = 'user_prompt'"
    )
    return [row.strip('"') for row in found]


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
