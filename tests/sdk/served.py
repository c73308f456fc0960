"""An instrumented MCP server over standard input or HTTP, on whichever package the interpreter has.

Run as `python tests/sdk/served.py mcp|mcp1|fastmcp stdio|http`; the environment says where telemetry is sent. Imports
nothing but the package, so that interpreters with other packages can run it.
"""

import asyncio
import os
import sys
from importlib import import_module
from typing import Any

from mcp_server_telemetry import Exporter, instrument, setup_otel

SERVERS = {
    "mcp": ("mcp.server", "MCPServer"),
    "mcp1": ("mcp.server.fastmcp", "FastMCP"),
    "fastmcp": ("fastmcp", "FastMCP"),
}
SECRET = "tomato-42"


def served(kind: str, **more: Any) -> Any:
    """Return a server with tools that behave well and badly."""
    module, name = SERVERS[kind]
    server = getattr(import_module(module), name)("tried", **more)

    @server.tool()
    def add(a: int, b: int) -> int:
        """Return the sum."""
        return a + b

    @server.tool()
    def fails() -> int:
        """Raise with a text that must not be recorded."""
        raise ValueError(SECRET)

    @server.tool()
    async def hangs() -> int:
        """Never return."""
        await asyncio.Event().wait()
        return 0

    @server.tool()
    def large(size: int) -> str:
        """Return so many bytes."""
        return "x" * size

    @server.tool()
    def forks() -> int:
        """Return the status of a child process that ended at once."""
        child = os.fork()
        if child == 0:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    @server.prompt()
    def asked(about: str) -> str:
        """Return a prompt."""
        return about

    return server


def main() -> None:
    """Serve until standard input ends, or the process is ended."""
    kind, transport = sys.argv[1:3]
    if os.environ.get("EXPORTER"):
        setup_otel(Exporter(os.environ["EXPORTER"]))
    # mcp 1.x takes its port from here alone.
    port = os.environ.get("FASTMCP_PORT")
    server = served(kind, **({"port": int(port)} if port and kind == "mcp1" else {}))
    if not os.environ.get("PLAIN"):
        instrument(server)
        if os.environ.get("TWICE"):
            instrument(server)
    server.run() if transport == "stdio" else server.run(transport="streamable-http")


if __name__ == "__main__":
    main()
