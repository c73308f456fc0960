"""The server's message when it is ready: its addresses, its data directory, and the variables to set in Claude Code."""

import sys
from collections.abc import Mapping

import structlog

from config.credentials import FILE as CREDENTIALS
from config.page_address import page_address
from config.settings import Settings, is_loopback

log = structlog.get_logger()


def announce(settings: Settings, listening: Mapping[str, str]) -> None:
    """Log that the server is ready; print the banner, unless the log is JSON for a program."""
    store = settings.clickhouse_url or str((settings.data_dir / "clickhouse").resolve())
    log.info("Ready.", **listening, data=store, privacy=settings.sanitize_level.value)
    if settings.log_format == "json":
        return
    gateway = listening.get("clickhouse_http")
    reading = (
        f"  ClickHouse  http://{gateway}  (passwords: {settings.data_dir / CREDENTIALS})\n" if gateway else ""
    )
    address = listening.get("web")
    page = f"  Page        {_page(settings, address)}\n" if address else ""
    mcp = (
        f"  MCP         {_url(address)}/mcp  (token: {settings.data_dir / CREDENTIALS})\n" if address else ""
    )
    print(  # noqa: T201  the banner is for the person who started the server
        f"""
  OTLP/gRPC   {listening["otlp_grpc"]}
  OTLP/HTTP   {_url(listening["otlp_http"])}
{reading}  Metrics     http://{listening["metrics"]}/metrics
  Health      http://{listening["health"]}/ready
{page}{mcp}  Data        {store} (kept {settings.retention_days} days, privacy: {settings.sanitize_level})

  Point Claude Code here, from another shell: .venv/bin/telemetry setup
  Or by hand, in the shell that starts it:

    export CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp
    export OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_ENDPOINT={_url(listening["otlp_grpc"])}
    export CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 OTEL_TRACES_EXPORTER=otlp
{_credentials(settings)}
  Then ask: .venv/bin/telemetry query --list
  Ctrl-C stores what is under way and stops.
""",
        flush=True,
    )


def _page(settings: Settings, address: str) -> str:
    """Return the address of the page; at a terminal the one that logs in, whose token no file of a log must keep."""
    if sys.stdout.isatty() and is_loopback(settings.web_host):
        return page_address(settings, address.rpartition(":")[2])
    return f"{_url(address)}  (logged in: .venv/bin/telemetry open)"


def _url(address: str) -> str:
    return address if address.startswith("https://") else f"http://{address}"


def _credentials(settings: Settings) -> str:
    """Return the lines for the token and the certificate that clients need, with places to fill in."""
    exports = {
        "OTEL_EXPORTER_OTLP_HEADERS": '"Authorization=Bearer <one of TELEMETRY_INGEST_TOKENS>"'
        if settings.tokens
        else "",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": '"<file with the authority of the server\'s certificate>"'
        if settings.tls_certificate
        else "",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": '"<file>"' if settings.tls_client_ca else "",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": '"<file>"' if settings.tls_client_ca else "",
    }
    return "".join(f"    export {name}={value}\n" for name, value in exports.items() if value)
