"""Claude Code is told of the MCP server and told to forget it, in each place, by its real command."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from onboarding.mcp_registration import FILE, Http, Reach, RegistrationError, Stdio, add, is_known, remove

CLAUDE = os.environ.get("TELEMETRY_TEST_CLAUDE") or shutil.which("claude")
needs_claude = pytest.mark.skipif(
    CLAUDE is None, reason="Claude Code is not installed, nor named by TELEMETRY_TEST_CLAUDE"
)
HTTP = Http("http://localhost:8080/mcp")
OTHER = {"mcpServers": {"other": {"command": "other"}}, "more": [1, "é"]}


@pytest.fixture
def project(home: Path) -> Path:
    """Work in a project's folder."""
    folder = home / "project"
    folder.mkdir()
    return folder


def test_a_projects_file_names_a_variable_and_no_token(project: Path) -> None:
    """It is committed."""
    assert add(HTTP, Reach.PROJECT, project) == str(project / FILE)
    assert json.loads((project / FILE).read_text()) == {
        "mcpServers": {
            "telemetry": {
                "type": "http",
                "url": "http://localhost:8080/mcp",
                "headers": {"Authorization": "Bearer ${TELEMETRY_WEB_TOKEN}"},
            }
        }
    }
    assert is_known(Reach.PROJECT, project)
    assert remove(Reach.PROJECT, project)
    assert not (project / FILE).exists()
    assert not remove(Reach.PROJECT, project)


def test_other_servers_stay_as_they_are(project: Path) -> None:
    """Before, while and after ours is there."""
    (project / FILE).write_text(json.dumps(OTHER))
    add(HTTP, Reach.PROJECT, project)
    add(Stdio("/opt/telemetry", {"TELEMETRY_DATA_DIR": "/data"}), Reach.PROJECT, project)
    told = json.loads((project / FILE).read_text())
    assert told["mcpServers"].pop("telemetry") == {
        "type": "stdio", "command": "/opt/telemetry", "args": ["mcp"], "env": {"TELEMETRY_DATA_DIR": "/data"},
    }  # fmt: skip
    assert told == OTHER
    assert remove(Reach.PROJECT, project)
    assert json.loads((project / FILE).read_text()) == OTHER


@pytest.mark.parametrize("text", ["{", "[]", '{"mcpServers": []}'])
def test_a_file_that_is_not_understood_is_left_alone(project: Path, text: str) -> None:
    """With what to do."""
    (project / FILE).write_text(text)
    with pytest.raises(RegistrationError, match="correct it first"):
        add(HTTP, Reach.PROJECT, project)
    assert (project / FILE).read_text() == text


def test_without_its_command_a_person_is_told_what_else_there_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is changed."""
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(RegistrationError, match=r"\.mcp\.json"):
        add(HTTP, Reach.USER, project)


@needs_claude
@pytest.mark.slow
@pytest.mark.parametrize("reach", [Reach.USER, Reach.LOCAL])
def test_claude_code_itself_knows_what_it_was_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, reach: Reach
) -> None:
    """Told twice it knows the later; told to forget, it does."""
    assert CLAUDE is not None
    folder = project.parent / "bin"
    folder.mkdir()
    (folder / "claude").symlink_to(Path(CLAUDE).resolve())
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    add(HTTP, reach, project)
    add(Stdio("/opt/telemetry", {}), reach, project)
    assert is_known(reach, project)
    got = subprocess.run(
        [CLAUDE, "mcp", "get", "telemetry"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert "/opt/telemetry" in got.stdout
    assert remove(reach, project)
    assert not is_known(reach, project)
    assert not remove(reach, project)
