"""Telemetry of our own MCP server, by the SDK that is offered for everyone's, when a setting says where to send it.

Answering never waits for it, and receiving telemetry calls no tool: nothing goes round in a circle.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from mcp_server.server import TelemetryServer

SERVICE = "telemetry-mcp"


@contextmanager
def measured(server: TelemetryServer, endpoint: str) -> Iterator[None]:
    """Measure a server while the block runs, and send what is left at its end; with an empty endpoint do nothing.

    `endpoint` is the address of an OTLP receiver over HTTP. Headers, such as a token, are OpenTelemetry's own
    OTEL_EXPORTER_OTLP_HEADERS.
    """
    if not endpoint:
        yield
        return
    # Loaded when it is wanted: the SDK and its exporter take a third of a second.
    from mcp_server_telemetry import instrument, setup_otel  # noqa: PLC0415

    end = setup_otel("otlp", endpoint=endpoint, service_name=SERVICE)
    instrument(server)
    try:
        yield
    finally:
        end()
