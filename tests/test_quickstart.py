"""docs/quickstart.md, followed to the letter, and the instructions of Claude Code's command /telemetry."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml

from telemetry.cli import main
from tests.server import ROOT, Server
from tests.test_architecture import MAY_IMPORT

QUICKSTART = (ROOT / "docs/quickstart.md").read_text()
COMMANDS = {
    name: command
    for name in main.list_commands(click.Context(main))
    if (command := main.get_command(click.Context(main), name))
}


@pytest.mark.slow
def test_the_quickstarts_commands_work_as_written(start: Callable[..., Server], tmp_path: Path) -> None:
    """In their order, in a fresh home, by somebody who takes every default."""
    server = start()
    ports = {
        f"TELEMETRY_{name.upper()}_PORT": server.listening[name].rpartition(":")[2]
        for name in ("otlp_grpc", "otlp_http", "clickhouse_http", "metrics")
    }
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TELEMETRY_", "CLICKHOUSE_", "OTEL_", "CLAUDE"))
    }
    environment = {
        **clean,
        **ports,
        "PATH": os.pathsep.join(
            part for part in os.environ["PATH"].split(os.pathsep) if not (Path(part) / "telemetry").exists()
        ),
        "HOME": str(tmp_path),
        "TELEMETRY_HEALTH_PORT": str(server.health_port),
        "TELEMETRY_DATA_DIR": str(server.data),
    }
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parent.parent)
    fences = re.findall(r"^```bash\n(.*?)^```$", QUICKSTART, re.MULTILINE | re.DOTALL)
    commands = [line for fence in fences for line in fence.splitlines()]
    assert commands.pop(0) == "scripts/start.sh"
    shown = {}
    for command in commands:
        if " import" in command:  # of a person who has worked before
            transcripts = Path(__file__).parent / "data" / "transcripts" / "2.1.332"
            shutil.copytree(transcripts, tmp_path / ".claude" / "projects" / "work", dirs_exist_ok=True)
        done = subprocess.run(
            ["bash", "-euc", command], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        shown[command.partition("#")[0].strip()] = done.stdout
    said = re.search(r"At the end it says:\n\n```\n(.*?)```", QUICKSTART, re.DOTALL)
    assert said is not None
    assert shown[".venv/bin/telemetry setup"].endswith(said[1])
    assert "claude" in shown[".venv/bin/telemetry query cost"]
    assert "No link is broken" in shown[".venv/bin/telemetry doctor"]


def test_options_named_are_options() -> None:
    """In the quickstart's table and in the slash command."""
    command = (ROOT / ".claude/commands/telemetry.md").read_text()
    known = {option for one in COMMANDS.values() for param in one.params for option in param.opts}
    table = QUICKSTART.partition("## What setup can do")[2]
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", table + command)) <= known


def test_the_slash_command_is_one_that_claude_code_takes() -> None:
    """Frontmatter in YAML with what the client reads; nothing may change settings without a question."""
    text = (ROOT / ".claude/commands/telemetry.md").read_text()
    _, head, body = text.split("---\n", 2)
    fields = yaml.safe_load(head)
    assert set(fields) == {"description", "argument-hint", "allowed-tools"}
    assert "$ARGUMENTS" in body
    allowed = re.findall(r"Bash\(([^)]*)\)", fields["allowed-tools"])
    assert [tool for tool in allowed if " setup" in tool] == [".venv/bin/telemetry setup --dry-run:*"]
    for command in re.findall(r"\.venv/bin/telemetry (\w+)", body):
        assert command in COMMANDS


def test_messages_in_troubleshooting_are_the_programs() -> None:
    """A search for the text of an error finds its entry, and an error that was reworded is noticed here."""
    source = "".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text())
        for package in MAY_IMPORT
        for path in (ROOT / package).rglob("*.py")
    )
    headings = re.findall(r"^### (.*)$", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
    quoted = [text for heading in headings for text in re.findall(r'"([^"]+)"', heading)]
    parts = [part.strip() for text in quoted for part in text.split("…") if len(part.strip()) > 3]
    assert len(parts) > 15
    assert [part for part in parts if part not in source] == []
