"""The command `telemetry`. Each command's module is loaded when it is asked for: the engine alone takes a second."""

import os
from importlib import import_module
from typing import Final

import click

_COMMANDS: Final = {
    "serve": "telemetry.commands.serve",
    "open": "telemetry.commands.open",
    "setup": "telemetry.commands.setup",
    "doctor": "telemetry.commands.doctor",
    "demo": "telemetry.commands.demo",
    "import": "telemetry.commands.import_history",
    "query": "telemetry.commands.query",
    "tail": "telemetry.commands.tail",
    "report": "telemetry.commands.report",
    "findings": "telemetry.commands.findings",
    "alerts": "telemetry.commands.alerts",
    "export": "telemetry.commands.export",
    "mcp": "telemetry.commands.mcp",
    "web": "telemetry.commands.web",
    "connections": "telemetry.commands.connections",
    "mcp-analytics": "telemetry.commands.mcp_analytics",
    "settings": "telemetry.commands.operations",
    "test-connection": "telemetry.commands.operations",
    "schema": "telemetry.commands.schema",
    "spool": "telemetry.commands.spool",
    "replay": "telemetry.commands.spool",
    "backup": "telemetry.commands.operations",
    "backup-key": "telemetry.commands.operations",
    "restore": "telemetry.commands.operations",
    "reset": "telemetry.commands.operations",
    "forget": "telemetry.commands.forget",
}
"""Where the commands are, in the order of help: to run, to try and to ask, then to operate."""

_WIDTH: Final = 120
"""Columns that help takes at most, in a terminal that has them: the sentence on each command stands whole."""


class _Commands(click.Group):
    """The commands by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(_COMMANDS[cmd_name]), f"{cmd_name.replace('-', '_')}_command")
        assert isinstance(command, click.Command)  # noqa: S101  a mistake in the table above
        return command


@click.group(cls=_Commands, context_settings={"max_content_width": _WIDTH})
@click.version_option(package_name="claude-code-telemetry")
def main() -> None:
    """Telemetry server for Claude Code: OTLP in, private rows in ClickHouse.

    Settings are environment variables, or lines of a file .env in the working directory;
    docs/configuration.md lists them.
    """
    # Tables, backups, reports and exports hold telemetry: what a command writes is for its user alone.
    os.umask(0o077)
    # gRPC's core writes lines of its own to standard error, before ours, which say the same in words for people.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
