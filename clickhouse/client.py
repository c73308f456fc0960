"""Connections to a ClickHouse's HTTP interface for all but ingest: the embedded tables' own, or a server's."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class Source:
    """Where to ask, and as whom. `ca_file` has the certificates (PEM) to trust for https, None: the system's."""

    url: str
    user: str
    password: str = field(repr=False)
    database: str
    ca_file: Path | None = None

    @property
    def port(self) -> int:
        """The port, ClickHouse's own for the scheme if the URL has none."""
        parts = urlsplit(self.url)
        return parts.port or (8443 if parts.scheme == "https" else 8123)


def connect(source: Source, seconds: float, connect_seconds: float = 10) -> Client:
    """Open a connection whose answers may take so long. Raises what the driver does."""
    parts = urlsplit(source.url)
    return clickhouse_connect.get_client(
        host=parts.hostname or "localhost",
        port=source.port,
        username=source.user,
        password=source.password,
        database=source.database,
        secure=parts.scheme == "https",
        ca_cert=str(source.ca_file) if source.ca_file else None,
        autogenerate_session_id=False,
        connect_timeout=connect_seconds,
        send_receive_timeout=seconds,
    )
