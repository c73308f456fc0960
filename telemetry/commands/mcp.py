"""`telemetry mcp`: tools for Claude over standard input and output."""

from importlib import metadata

import click
import uvloop

from access.quality import RulesError
from config.settings import SettingsError, load
from mcp_server.stdio import run
from telemetry import log
from telemetry.commands.error_text import report_errors
from telemetry.commands.url_option import url_option


@click.command("mcp")
@url_option()
@report_errors(SettingsError, RulesError)
def mcp_command(url: str | None) -> None:
    """Answer an MCP client, such as Claude Code, over standard input and output.

    Claude Code starts it: claude mcp add telemetry -- telemetry mcp. Asks as the user who only reads.
    """
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    uvloop.run(run(settings, url, metadata.version("claude-code-telemetry")))
