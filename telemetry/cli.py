"""The command `telemetry`. Each command's module is loaded when it is asked for: the engine alone takes a second."""

from importlib import import_module
from typing import Final

import click

_COMMANDS: Final = {
    "serve": "telemetry.commands.serve",
    "setup": "telemetry.setup",
    "doctor": "telemetry.doctor.command",
    "demo": "telemetry.commands.demo",
    "query": "telemetry.commands.query",
    "report": "telemetry.commands.report",
    "settings": "telemetry.upkeep.commands",
    "test-connection": "telemetry.upkeep.commands",
    "schema": "telemetry.commands.schema",
    "spool": "telemetry.commands.spool",
    "replay": "telemetry.commands.spool",
    "backup": "telemetry.upkeep.commands",
    "backup-key": "telemetry.upkeep.commands",
    "restore": "telemetry.upkeep.commands",
    "reset": "telemetry.upkeep.commands",
    "forget": "telemetry.forget.command",
}
"""Where the commands are, in the order of help: to run, to try and to ask, then upkeep."""


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


@click.group(cls=_Commands)
@click.version_option(package_name="claude-code-telemetry")
def main() -> None:
    """Telemetry server for Claude Code: OTLP in, private rows in ClickHouse.

    Settings are environment variables, or lines of a file .env in the working directory;
    docs/configuration.md lists them.
    """
