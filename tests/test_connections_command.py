"""`telemetry connections`, as a person and a pipeline run it, in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.connector_kinds import System, system
from tests.server import ROOT
from tests.web_process import environment

SECRET = "hunter2-upstream"


@pytest.fixture
def upstream() -> Iterator[System]:
    with system() as found:
        found.answer = lambda _: (200, {}, b'{"version": "1.2"}')
        yield found


def run(data: Path, *arguments: str, given: str = "", **more: str) -> "subprocess.CompletedProcess[str]":
    """Run the command; no argument and no output has the credential."""
    assert SECRET not in " ".join(arguments)
    done = subprocess.run(
        [sys.executable, "-m", "telemetry", "connections", *arguments],
        cwd=ROOT,
        env=environment(data, **more),
        input=given,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.slow
def test_a_connection_is_added_tested_changed_exported_and_removed(upstream: System, tmp_path: Path) -> None:
    """With the credential from standard input; it stays when something else is changed, and is in no file."""
    data = tmp_path / "data"
    added = run(
        data, "add", "prod", "plain", "--url", upstream.url, "--auth", "bearer", "--secret-stdin", "auth.token",
        "--default", "--tag", "eu", given=f"{SECRET}\n",
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    changed = run(data, "edit", "prod", "--description", "The first.", "--name", "production")
    assert (changed.returncode, changed.stdout) == (0, "Changed production.\n")
    shown = json.loads(run(data, "show", "production").stdout)
    assert (shown["config"], shown["is_default"], shown["tags"], shown["description"]) == (
        {"url": upstream.url, "auth": {"type": "bearer", "token": "set"}}, True, ["eu"], "The first.",
    )  # fmt: skip
    tested = run(data, "test", "production")
    assert (tested.returncode, tested.stdout) == (0, "healthy  1.2\n")
    assert upstream.headers[-1]["Authorization"] == f"Bearer {SECRET}"
    assert run(data, "rotate-key").stdout == "Encrypted the credentials of 1 connections with the new key.\n"
    upstream.answer = lambda _: (401, {}, b"")
    refused = run(data, "test", "production")
    assert (refused.returncode, "unhealthy" in refused.stdout) == (3, True)
    listed = run(data, "list").stdout
    assert listed.split()[:4] == ["production", "plain", "unhealthy", "default"]
    exported = run(data, "export").stdout
    assert "token: ${PRODUCTION_AUTH_TOKEN}" in exported
    for path in data.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path.name
    file = tmp_path / "connections.yaml"
    file.write_text(exported.replace("production", "other"))
    missing = run(data, "apply", str(file))
    assert (missing.returncode, "PRODUCTION_AUTH_TOKEN is not set" in missing.stderr) == (1, True)
    applied = run(data, "apply", str(file), "--prune", PRODUCTION_AUTH_TOKEN=SECRET)
    assert applied.stdout == "Added other.\nRemoved production.\n", applied.stderr
    assert run(data, "remove", "other").stdout == "Removed other.\n"
    left = run(data, "list").stdout
    assert left.split()[:3] == ["telemetry", "clickhouse", "unknown"]
    assert left.endswith("Add others: telemetry connections add --help\n")


@pytest.mark.slow
def test_what_is_wrong_is_told_with_the_remedy(tmp_path: Path) -> None:
    """In a sentence, with exit code 1; a folder that has no data directory gets none by reading."""
    data = tmp_path / "data"
    listed = run(data, "list")
    assert (listed.returncode, "There is no data directory here yet" in listed.stderr) == (1, True)
    assert not data.exists()
    kind = run(data, "add", "prod", "plian", "--url", "http://x")
    assert (kind.returncode, "Did you mean plain? Known: " in kind.stderr) == (1, True)
    config = run(data, "add", "prod", "plain", "--config", "-", given="url: http://x\nulr: y\n")
    assert (config.returncode, "config.ulr" in config.stderr) == (1, True)
    unset = run(data, "add", "prod", "plain", "--url", "http://x", "--secret-env", "auth.token=NONE")
    assert (unset.returncode, "the environment variable is not set" in unset.stderr) == (2, True)
    file = tmp_path / "connections.yaml"
    file.write_text("connections: [{name: fixed, backend_type: plain, config: {url: 'http://x'}}]")
    fixed = run(data, "remove", "fixed", TELEMETRY_CONNECTIONS_FILE=str(file))
    assert (fixed.returncode, "change it there" in fixed.stderr) == (1, True)


def test_a_start_without_connections_loads_no_database_library() -> None:
    """Neither of `telemetry mcp` nor of the receiver."""
    script = (
        "import sys, telemetry.commands.mcp, mcp_server.stdio, telemetry.serve, connectors.asking\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'psycopg') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
