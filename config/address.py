"""The addresses, as the settings have them, of this server's ports on this machine and of ClickHouse."""

from config.settings import Settings, reachable


def local(settings: Settings, port: int) -> str:
    """Return a port's HTTP address for programs on this machine, also when the server listens everywhere."""
    return f"http://{reachable(settings.host)}:{port}"


def clickhouse(settings: Settings) -> str | None:
    """Return the address of ClickHouse's HTTP interface; None when it is any free port, which only the log shows."""
    if settings.clickhouse_url is not None:
        return settings.clickhouse_url
    port = settings.clickhouse_http_port
    return local(settings, port) if port else None
