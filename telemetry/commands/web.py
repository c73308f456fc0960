"""`telemetry web`: the process that answers MCP clients and REST over HTTP. `telemetry serve` starts it."""

import asyncio
import os
import signal
import socket
import sys
from importlib import metadata

import click
import structlog
import uvloop

from access.export.shelf import Shelf
from access.quality import RulesError as ValidationRulesError
from access.quality import read_rules
from access.reading import desk
from alerts.watch import watch_of
from config.credentials import made_web_token
from config.data_directory import StartError
from config.settings import Settings, SettingsError, is_loopback, load
from connectors.connections_file import ConnectionsFileError
from connectors.entry import OWNER
from connectors.installation import LateState, asking, own_store
from connectors.state.errors import StateError
from mcp_server.store import LazyStore
from privacy.rules import RulesError
from telemetry import log, open_files
from telemetry.commands.error_text import report_errors
from telemetry.commands.url_option import url_option
from telemetry.listeners.asgi import WebServer
from telemetry.listeners.tls import TlsError, tls_of
from telemetry.web_child import listen
from web.app import application
from web.downloads import EXPORTS
from web.guard import Admission
from web.roles import role_of

_CONNECTIONS = 16_384
_GRACE_SECONDS = 2.0
_NICE = 10


@click.command("web")
@url_option()
@click.option(
    "--listener", type=int, hidden=True, help="The open socket to listen on; ends with standard input."
)
@report_errors(SettingsError, StartError, TlsError, ConnectionsFileError, RulesError, ValidationRulesError)
def web_command(url: str | None, listener: int | None) -> None:
    """Answer MCP clients at /mcp and programs at /api/v1, on TELEMETRY_WEB_PORT.

    `telemetry serve` runs this beside itself. By itself it asks another server: --url, or CLICKHOUSE_URL.
    """
    settings = load()
    log.configure(settings.log_format, settings.log_level)
    if listener is None and settings.web_port == "off":
        raise StartError("TELEMETRY_WEB_PORT is off: set it to a port (0: any free one).")
    uvloop.run(_serve(settings, url, listener))


async def _serve(settings: Settings, url: str | None, descriptor: int | None) -> None:
    open_files.allow(_CONNECTIONS + 512)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    if descriptor is None:
        loop.add_signal_handler(signal.SIGINT, stopping.set)
        listener = _listener(settings)
    else:
        loop.add_reader(sys.stdin.fileno(), _end, stopping)
        listener = socket.socket(fileno=descriptor)
    roles = {name: role_of(*role) for name, role in settings.roles.items()}
    admission = Admission(settings.web_host, settings.web_names, _tokens(settings), roles)
    tls = tls_of(settings)
    here = desk(LazyStore(settings, url), settings)
    version = metadata.version("claude-code-telemetry")
    shelf = Shelf(
        settings.exports, settings.export_bytes, read_rules(settings.validation_rules), address=EXPORTS
    )
    late = LateState(settings)
    await asyncio.to_thread(_open, late)
    async with application(
        here,
        shelf,
        asking(settings, late, own_store(here.store)),
        admission,
        settings.body_timeout_seconds,
        version,
        settings.connector_health_seconds,
        settings.mcp_telemetry,
        [sys.executable, "-m", "telemetry", "forget", *(["--url", url] if url else [])],
        watch_of(settings, here.store),
    ) as app:
        server = WebServer(
            app, settings.body_timeout_seconds, tls.context() if tls else None, connections=_CONNECTIONS
        )
        port = await server.start_on(listener)
        if descriptor is not None:
            # Beside ingest, those who ask wait: the engine runs their queries at this priority too.
            os.nice(_NICE)
        structlog.get_logger().info("The web process is ready.", port=port)
        await stopping.wait()
        await server.stop(_GRACE_SECONDS)
    late.close()


def _open(late: LateState) -> None:
    """Bring the state to this version's tables now. A database that is away stops nothing: each use tries again."""
    try:
        late.state()
    except StateError as error:
        structlog.get_logger().warning("The state of connections cannot be used.", reason=str(error))


def _end(stopping: asyncio.Event) -> None:
    """Stop when the server's end of standard input is closed; nothing is ever written to it."""
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    stopping.set()


def _listener(settings: Settings) -> socket.socket:
    try:
        return listen(settings.web_host, int(settings.web_port))
    except OSError:
        raise StartError(
            "Listening for the web process failed: its port is taken or not allowed. Stop the other program, or set"
            " TELEMETRY_WEB_PORT to another port (0: any free one)."
        ) from None


def _tokens(settings: Settings) -> list[tuple[str, str]]:
    if not is_loopback(settings.web_host):
        return settings.readers
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return [*settings.readers, (OWNER, made_web_token(settings.data_dir))]
    except OSError as error:
        raise StartError(
            f"The data directory {settings.data_dir} cannot be used ({error.strerror}): set"
            " TELEMETRY_DATA_DIR to a writable one."
        ) from None
