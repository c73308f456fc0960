"""Whether every port is free, tried before any table is made: a start that cannot listen changes nothing on disk."""

import socket
from collections.abc import Iterator
from contextlib import suppress

from config.data_directory import StartError
from config.settings import Settings


def try_ports(settings: Settings) -> None:
    """Raise StartError that names each port that cannot be opened, with its setting. Port 0 is any free one."""
    closed = [(name, port) for name, host, port in _wanted(settings) if port and not _is_free(host, port)]
    if not closed:
        return
    listed = ", ".join(f"{port} ({name})" for name, port in closed)
    remedies = ", ".join(f"TELEMETRY_{name.upper()}_PORT" for name, _ in closed)
    raise StartError(
        f"Listening on {listed} failed: taken or not allowed. Stop the other program, or set {remedies} to another"
        " port (0: any free one)."
    )


def _wanted(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """Yield the name, address and port of each listener."""
    yield "otlp_grpc", settings.host, settings.otlp_grpc_port
    yield "otlp_http", settings.host, settings.otlp_http_port
    yield "metrics", settings.host, settings.metrics_port
    yield "health", settings.host, settings.health_port
    if not settings.clickhouse_url:
        yield "clickhouse_http", settings.host, settings.clickhouse_http_port
    if settings.web_port != "off":
        yield "web", settings.web_host, settings.web_port


def _is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with suppress(OSError), socket.create_server((host, port), family=family):
        return True
    return False
