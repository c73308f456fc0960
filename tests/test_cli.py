"""The command `telemetry`, as a person runs it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

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
    """In a narrow terminal too, nothing is cut off."""
    for arguments in ((), ("connections",), ("mcp-analytics",), ("alerts",)):
        for columns in ("60", "80", "120"):
            shown = telemetry(*arguments, "--help", COLUMNS=columns).stdout
            listed = " ".join(shown.partition("Commands:\n")[2].split())
            assert listed.endswith(".")
            assert "..." not in listed


def with_url(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the commands that take the address of a ClickHouse."""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from with_url(inner, (*path, name))
    elif any(option.name == "url" for option in command.params) and path[0] != "connections":
        yield path


def test_no_command_takes_an_address_that_would_lead_elsewhere() -> None:
    """Without its scheme, an address named another host and port than the ones that were asked: this machine's."""
    commands = list(with_url(main))
    assert {("query",), ("restore",), ("reset",), ("forget",)} <= set(commands)
    for command in commands:
        for url in (
            "elsewhere:8123",
            "elsewhere",
            "http://",
            "http://:8123",
            "http://a:port",
            "http://u:p@a",
        ):
            done = CliRunner().invoke(main, [*command, "--url", url])
            assert done.exit_code == 2
            assert "Invalid value for '--url': write the HTTP address" in done.stderr


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


@pytest.mark.parametrize("name", ["x'y", "", "a b", "a\n"])
def test_schema_refuses_what_no_cluster_is_named(name: str) -> None:
    """It would stand in the statements as it is."""
    done = CliRunner().invoke(main, ["schema", "--cluster", name])
    assert done.exit_code == 2
    assert "Invalid value for '--cluster'" in done.output
    assert "CREATE" not in done.output


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
