"""Where on this machine a port of ours is reached, and where ClickHouse answers, as the settings say."""

from telemetry.settings import Settings, reachable


def local(settings: Settings, port: int) -> str:
    """Give a port's HTTP address for programs on this machine: a server that listens everywhere is here too."""
    return f"http://{reachable(settings.host)}:{port}"


def clickhouse(settings: Settings) -> str | None:
    """Give the address of ClickHouse's HTTP interface; None when it is any free port, which only the log knows."""
    if settings.clickhouse_url is not None:
        return settings.clickhouse_url
    port = settings.clickhouse_http_port
    return local(settings, port) if port else None
