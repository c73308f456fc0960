"""The server's whole life: build the parts, listen, run until a signal, stop in order.

The order of stopping:
1. ready turns false;
2. no new requests are taken, and readers' statements are stopped;
3. requests under way finish: batches are flushed at once, inserted or spooled, and acknowledged;
4. the web process and the other ports close;
5. replay stops;
6. open files and connections are closed, the engine last.

After half of the grace period, the server waits for no insert any more: the remaining blocks go to the spool. A second
signal changes nothing.
"""

import asyncio
import signal
from dataclasses import dataclass
from functools import partial

import structlog

from config.credentials import made_web_token
from config.data_directory import StartError
from config.own_names import OwnNames
from config.settings import Settings, is_loopback, reachable
from receiver.arriving import ArrivingLimits
from receiver.native_json import native_json
from receiver.otlp_grpc import OtlpGrpc
from receiver.otlp_http import otlp_http
from receiver.senders import Senders
from telemetry import open_files, tuning
from telemetry.banner import announce
from telemetry.listeners.asgi import WebServer
from telemetry.listeners.health import exposition, health
from telemetry.listeners.page_guard import PageGuard
from telemetry.parts import Parts, parts_of, request_limits
from telemetry.web_child import WebChild
from telemetry.web_child import listen as web_listener

log = structlog.get_logger()

# More than three exporters of each of 2,000 clients; the other half of the open files is the store's and HTTP's.
_GRPC_CONNECTIONS = 8_192


async def serve(settings: Settings) -> bool:
    """Run until SIGTERM or SIGINT, then store the requests under way and return.

    Returns whether readers' statements run on that cannot be stopped: the process need not wait for them.
    """
    tuning.give_back_large_buffers()
    with parts_of(settings) as parts:
        server = Server(settings, parts)
        await server.listen()
        tuning.after_start()
        announce(settings, server.listening)
        await server.run()
        await server.stop()
    log.info("Stopped; everything acknowledged is stored.")
    return bool(parts.clickhouse_http and parts.clickhouse_http.unfinished)


@dataclass(frozen=True, slots=True)
class _Web:
    """An HTTP server, and the port that the settings ask for."""

    server: WebServer
    port: int


class Server:
    """The listeners, over the parts that are built: `listen`, `run` and `stop` are called once each, in this order."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings = settings
        self._parts = parts
        self.listening: dict[str, str] = {}
        """The address of each listener, by its name."""
        self._stopping = asyncio.Event()
        senders = Senders(parts.pipeline.take, settings.tokens, parts.metrics, settings.rate_limit_bytes)
        self._arriving = ArrivingLimits(settings.arriving_bytes, settings.max_request_bytes)
        self._grpc = OtlpGrpc(
            senders,
            parts.metrics,
            settings.max_request_bytes,
            self._arriving.grpc_messages,
            settings.body_timeout_seconds,
            open_files.allow(2 * _GRPC_CONNECTIONS) // 2,
        )
        self._web = self._web_servers(senders)
        self._child: WebChild | None = None

    async def listen(self) -> None:
        """Handle SIGTERM and SIGINT, start the pipeline, open every port. Raises StartError when a port cannot open."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)
        self._parts.pipeline.start()
        try:
            await self._open_ports()
        except (OSError, RuntimeError):
            # Another program took it since `try_ports`.
            missing = next(name for name in ("otlp_grpc", *self._web, "web") if name not in self.listening)
            await self._give_up()
            raise StartError(
                f"Listening for {missing} failed: its port is taken or not allowed. Stop the other program,"
                f" or set TELEMETRY_{missing.upper()}_PORT to another port (0: any free one)."
            ) from None
        if self._child:
            self._child.start()

    async def run(self) -> None:
        """Serve until a signal; meanwhile refresh the usage metrics and give free pages back."""
        self._beside = asyncio.gather(
            self._parts.usage.run(self._stopping), tuning.give_back_pages(self._stopping)
        )
        await self._stopping.wait()

    async def stop(self) -> None:
        """Answer the requests under way, then close the ports."""
        log.info("Stopping: no new requests; those under way are being stored.")
        if self._parts.clickhouse_http:
            self._parts.clickhouse_http.refuse()
        await self._grpc.refuse()
        self._parts.pipeline.hurry()
        grace = self._settings.shutdown_seconds
        half_time = asyncio.get_running_loop().call_later(grace / 2, self._parts.inserter.hurry)
        await asyncio.gather(
            self._grpc.stop(grace),
            self._web["otlp_http"].server.stop(grace),
            *([self._child.stop()] if self._child else []),
        )
        await self._parts.pipeline.stop()
        half_time.cancel()
        for name in self._web.keys() - {"otlp_http"}:
            await self._web[name].server.stop(1)
        await self._beside

    def _web_servers(self, senders: Senders) -> dict[str, _Web]:
        settings, parts = self._settings, self._parts
        timeout = settings.body_timeout_seconds
        otlp = otlp_http(
            senders,
            parts.metrics,
            self._arriving,
            timeout,
            settings.cors_origins,
            request_limits(settings),
            native_json(settings.transform),
        )
        scrape = exposition(parts.metrics.registry, parts.usage.scraped)
        probe = health(self._is_ready, self.listening, lambda: parts.store_health.troubles, self._stores)
        tls = parts.tls.context() if parts.tls else None
        own = OwnNames(settings.host, settings.host_names)
        guarded = partial(PageGuard, own=own, refused=parts.metrics.refused_pages)
        otlp_guard = guarded(otlp, "otlp_http", origins=settings.cors_origins)
        web = {
            "otlp_http": _Web(WebServer(otlp_guard, timeout, tls), settings.otlp_http_port),
            "metrics": _Web(WebServer(guarded(scrape, "metrics"), timeout), settings.metrics_port),
            "health": _Web(WebServer(guarded(probe, "health"), timeout), settings.health_port),
        }
        if parts.clickhouse_http:
            gateway_guard = guarded(parts.clickhouse_http, "clickhouse_http", keeps_passwords=True)
            gateway = WebServer(gateway_guard, timeout)
            web["clickhouse_http"] = _Web(gateway, settings.clickhouse_http_port)
        return web

    def _is_ready(self) -> bool:
        ports = 1 + len(self._web) + (self._settings.web_port != "off")
        return len(self.listening) == ports and not self._stopping.is_set()

    def _stores(self) -> bool:
        """Whether batches can be stored, or could within the time that the settings allow."""
        seconds = self._parts.store_health.unstorable_seconds
        return not seconds or seconds < self._settings.unready_seconds

    async def _open_ports(self) -> None:
        host, tls = self._settings.host, self._parts.tls
        scheme = "https://" if tls else ""
        credentials = tls.credentials() if tls else None
        port = await self._grpc.start(host, self._settings.otlp_grpc_port, credentials)
        self.listening["otlp_grpc"] = scheme + _address(host, port)
        for name, web in self._web.items():
            address = _address(host, await web.server.start(host, web.port))
            self.listening[name] = scheme + address if name == "otlp_http" else address
        if self._settings.web_port != "off":
            if is_loopback(self._settings.web_host):
                made_web_token(self._settings.data_dir)
            listener = web_listener(self._settings.web_host, self._settings.web_port)
            self._child = WebChild(listener, self._gateway_url())
            self.listening["web"] = scheme + _address(self._settings.web_host, listener.getsockname()[1])

    def _gateway_url(self) -> str | None:
        """Return where the web process reaches the embedded tables; None in server mode, where the settings say it."""
        if self._settings.clickhouse_url:
            return None
        port = self.listening["clickhouse_http"].rpartition(":")[2]
        return f"http://{reachable(self._settings.host)}:{port}"

    async def _give_up(self) -> None:
        """Close the ports that are open; no request was acknowledged yet."""
        for web in self._web.values():
            await web.server.stop(0)
        await self._grpc.stop(0)
        await self._parts.pipeline.stop()


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
