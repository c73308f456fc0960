"""Traces, metrics and usage of an MCP server, in one line.

    from mcp_server_telemetry import instrument
    instrument(server)

`instrument` takes a server of the official `mcp` package (2.x: MCPServer and Server; 1.x: FastMCP and Server) or of
`fastmcp`. Without an OpenTelemetry backend, or with one that is away, slow or full, the server behaves as it does
without this package.
"""

from mcp_server_telemetry.bounds import OTHER
from mcp_server_telemetry.instrument import Instrumented, instrument
from mcp_server_telemetry.options import Options
from mcp_server_telemetry.providers import Exporter, ProviderError, setup_otel
from mcp_server_telemetry.sessions import Session, TracedSessionManager, step

__all__ = [
    "OTHER",
    "Exporter",
    "Instrumented",
    "Options",
    "ProviderError",
    "Session",
    "TracedSessionManager",
    "instrument",
    "setup_otel",
    "step",
]
