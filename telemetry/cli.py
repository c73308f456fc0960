"""The command `telemetry`. Each command's module is loaded when it is asked for: the engine alone takes a second."""

import os
from importlib import import_module
from typing import Final

import click

_COMMANDS: Final = {
    "serve": ("serve", "Run the server until Ctrl-C or SIGTERM."),
    "open": ("open", "Open the page in this machine's browser, logged in."),
    "setup": ("setup", "Point Claude Code at this server."),
    "doctor": ("doctor", "Check every link from Claude Code's settings to the newest row."),
    "demo": ("demo", "Send invented sessions to try the server with, or remove them again."),
    "import": ("import_history", "Import the history of Claude Code from its own transcripts."),
    "query": ("query", "Ask a question, or run a statement."),
    "tail": ("tail", "Follow tool calls, model requests and errors as they arrive, until Ctrl-C."),
    "report": ("report", "Report what happened, what it cost, what failed, and what to fix first."),
    "findings": ("findings", "List what changed for the worse: for whom, since when, and what it cost."),
    "alerts": ("alerts", "Try the webhook to which new findings are sent (TELEMETRY_ALERT_WEBHOOK)."),
    "export": ("export", "Write what is stored to files, with a manifest of their sizes and checksums."),
    "mcp": ("mcp", "Answer an MCP client, such as Claude Code, over standard input and output."),
    "web": ("web", "Answer MCP clients at /mcp and programs at /api/v1, on TELEMETRY_WEB_PORT."),
    "connections": (
        "connections",
        "Connect other observability systems: Prometheus, Loki, Jaeger and others.",
    ),
    "mcp-analytics": (
        "mcp_analytics",
        "Instrument MCP servers of your own: code, dashboards, alerts, a trial.",
    ),
    "settings": ("operations", "Check the settings, and print those in force; secrets as `set`."),
    "test-connection": (
        "operations",
        "Test a running server: ports, tokens, users, tables, and records sent and found again.",
    ),
    "schema": ("schema", "Print the schema's migrations, or apply them."),
    "spool": ("spool", "Show the blocks that wait on disk for ClickHouse, and those that it refused."),
    "replay": ("spool", "Try the dead letters again, after their cause is corrected."),
    "backup": (
        "operations",
        "Back up the tables of the running server, and its connections to other systems.",
    ),
    "backup-key": (
        "operations",
        "Make a key for encrypted backups: the secret into FILE, and print the public key.",
    ),
    "restore": ("operations", "Put BACKUP (the newest unless named) into the tables of the running server."),
    "reset": ("operations", "Remove telemetry from the tables of the running server: all of it, or the old."),
    "forget": ("forget", "Delete what is stored of one person, or of one session."),
}
"""The commands' modules and first sentences, in the order of help: to run, to try and to ask, then to operate."""

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
        module, _ = _COMMANDS[cmd_name]
        function = f"{cmd_name.replace('-', '_')}_command"
        command = getattr(import_module(f"telemetry.commands.{module}"), function)
        assert isinstance(command, click.Command)  # noqa: S101  a mistake in the table above
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of the commands without loading them, which takes two seconds."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in _COMMANDS.items()])


_GRPC_EXPERIMENTS: Final = "-event_engine_listener,-event_engine_callback_cq,-event_engine_client"
"""gRPC's core polls sockets in the thread that waits for its events, not in others that wake it: a tenth of a small
request's CPU. A version of gRPC without these choices works as it does otherwise."""


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
    os.environ.setdefault("GRPC_EXPERIMENTS", _GRPC_EXPERIMENTS)
