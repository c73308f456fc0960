"""The MCP server over standard input and output, as Claude Code starts it.

Nothing else is written to standard output.
"""

from access.export.shelf import Shelf
from access.quality import read_rules
from access.reading import desk
from config.settings import Settings
from mcp_server.connected import LateConnected
from mcp_server.measured import measured
from mcp_server.server import server
from mcp_server.store import LazyStore


async def run(settings: Settings, url: str | None, version: str) -> None:
    """Serve until standard input ends. `url` is the ClickHouse to ask, None: the settings' own. Raises RulesError."""
    shelf = Shelf(settings.exports, settings.export_bytes, read_rules(settings.validation_rules))
    here = desk(LazyStore(settings, url), settings)
    connected = LateConnected(settings, here.store)
    made = server(here, shelf, version=version, connected=connected)
    try:
        with measured(made, settings.mcp_telemetry):
            await made.run_stdio_async()
    finally:
        await connected.close()
