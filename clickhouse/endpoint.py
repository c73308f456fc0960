"""The address and the user of a ClickHouse's HTTP interface: that of the embedded tables, or a server's.

Every client takes its `Endpoint` from here, so all of them follow the same settings.
"""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from clickhouse.client_errors import Unreachable
from config.address import clickhouse
from config.credentials import reader_password, writer_password
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An HTTP interface, its user, and the database of the statements."""

    url: str
    user: str
    password: str = field(repr=False)
    database: str
    ca_file: Path | None = None
    """Certificates (PEM) to trust for https; None: the system's."""
    password_setting: str = "CLICKHOUSE_PASSWORD"  # noqa: S105  the name of the setting
    """The setting that an error about the password names."""

    @property
    def host(self) -> str:
        """The host's name or address."""
        host = urlsplit(self.url).hostname
        assert host, "checked where it was read"  # noqa: S101  another server must not be asked instead
        return host

    @property
    def is_secure(self) -> bool:
        """Whether connections are encrypted."""
        return urlsplit(self.url).scheme == "https"

    @property
    def port(self) -> int:
        """The port, ClickHouse's own for the scheme if the URL has none."""
        return urlsplit(self.url).port or (8443 if self.is_secure else 8123)


@dataclass(frozen=True, slots=True)
class ServerEndpoint(Endpoint):
    """The ClickHouse server that ingest writes to, and how long to wait for it."""

    cluster: str | None = None
    connect_seconds: float = 5.0
    insert_seconds: float = 60.0

    @property
    def place(self) -> str:
        """Host, port and user, for people."""
        return f"{urlsplit(self.url).hostname}:{self.port} as {self.user}"


def reader_endpoint(settings: Settings, url: str | None = None) -> Endpoint:
    """Return the endpoint in the settings, or at `url`, for the user who only reads. Raises Unreachable without one."""
    return Endpoint(
        _url(settings, url),
        settings.reader_user,
        reader_password(settings),
        settings.database,
        settings.clickhouse_ca_file,
        "TELEMETRY_READER_PASSWORD",
    )


def writer_endpoint(settings: Settings, url: str | None = None) -> Endpoint:
    """Return the endpoint in the settings, or at `url`, for the user who writes. Raises Unreachable without one."""
    return Endpoint(
        _url(settings, url),
        settings.clickhouse_user,
        writer_password(settings),
        settings.database,
        settings.clickhouse_ca_file,
    )


def server_endpoint(settings: Settings) -> ServerEndpoint:
    """Return the ClickHouse server that the settings name. It exists in server mode alone."""
    assert settings.clickhouse_url is not None, "there is a server in server mode alone"  # noqa: S101  a mistake in the program
    return ServerEndpoint(
        settings.clickhouse_url,
        settings.clickhouse_user,
        settings.clickhouse_password.get_secret_value(),
        settings.database,
        settings.clickhouse_ca_file,
        cluster=settings.clickhouse_cluster,
        connect_seconds=settings.clickhouse_connect_seconds,
        insert_seconds=settings.clickhouse_insert_seconds,
    )


def _url(settings: Settings, url: str | None) -> str:
    found = url or clickhouse(settings)
    if found is None:
        raise Unreachable(
            "The server listens on any free port: name its address with --url; its log says which it is.",
            "NO_ADDRESS",
        )
    return found
