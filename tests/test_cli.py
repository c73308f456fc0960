"""The command `telemetry`, as a person runs it."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click

from clickhouse.migrations import migrations
from telemetry.cli import main
from tests.server import AS_INSTALLED, ROOT


def telemetry(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("TELEMETRY_", "CLICKHOUSE_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "telemetry", *arguments],
        cwd=ROOT,
        env={**clean, **AS_INSTALLED, **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_help_lists_the_commands() -> None:
    """The first thing that a person asks."""
    done = telemetry("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("serve", "schema", "--version", "docs/configuration.md"):
        assert word in done.stdout


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    """It is written from a table, so that no command has to be loaded for it."""
    context = click.Context(main)
    said = {
        name: command.get_short_help_str(limit=200)
        for name in main.list_commands(context)
        if (command := main.get_command(context, name))
    }
    listed = telemetry("--help", COLUMNS="200").stdout.partition("Commands:\n")[2]
    assert dict(line.split(maxsplit=1) for line in listed.splitlines()) == said


def test_help_says_each_command_in_a_whole_sentence() -> None:
    """In a terminal of 120 columns nothing is cut off."""
    for arguments in ((), ("connections",), ("mcp-analytics",), ("spool",)):
        shown = telemetry(*arguments, "--help", COLUMNS="120").stdout
        assert [line for line in shown.splitlines()[1:] if line.endswith("...")] == []


def test_the_version_is_the_package_s() -> None:
    """One version, declared once."""
    done = telemetry("--version")
    assert done.returncode == 0
    assert version("claude-code-telemetry") in done.stdout


def test_schema_prints_every_migration(tmp_path: Path) -> None:
    """For a database administrator to read and run by hand; nothing is touched."""
    done = telemetry("schema", TELEMETRY_DATA_DIR=str(tmp_path / "data"))
    printed = "".join(f"-- {made.number:04d} {made.name}\n{made.sql.rstrip()};\n\n" for made in migrations())
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")
    assert not (tmp_path / "data").exists()


def test_schema_apply_applies_what_is_missing(tmp_path: Path) -> None:
    """Once; a second time finds nothing to do."""
    environment = {"TELEMETRY_DATA_DIR": str(tmp_path / "data"), "TELEMETRY_RETENTION_DAYS": "12"}
    first, second = (telemetry("schema", "--apply", **environment) for _ in range(2))
    assert (first.returncode, first.stdout, first.stderr) == (
        0,
        f"Applied {len(migrations())} migrations; rows are kept 12 days.\n",
        "",
    )
    assert second.stdout == "Applied 0 migrations; rows are kept 12 days.\n"


def test_a_wrong_setting_is_told_without_a_traceback() -> None:
    """The text alone, and exit code 1."""
    done = telemetry("schema", "--apply", TELEMETRY_RETENTION_DAYS="0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("telemetry: TELEMETRY_RETENTION_DAYS: ")
    assert "Traceback" not in done.stderr


def test_an_unknown_command_is_a_usage_error() -> None:
    """Exit code 2, as shells expect."""
    done = telemetry("sevre")
    assert done.returncode == 2
    assert "No such command" in done.stderr
