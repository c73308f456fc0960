"""The server's whole life: build the parts, listen, wait for a signal, stop in order.

The order of stopping: ready turns false; no new requests are taken; those under way finish, which drains the
batches, inserts or spools, and acknowledges; replay stops; the ports close; the engine closes. When half of the grace
period is over, nothing is waited for in the store any more: what is left goes to the spool. A second signal does not
hurry it.
"""

import asyncio
import fcntl
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import structlog

from clickhouse.columns import STRUCTURES
from clickhouse.engine import Engine
from clickhouse.http.app import ClickHouseHttp
from clickhouse.http.app import Limits as QueryLimits
from clickhouse.migrations import Migration
from clickhouse.store import StoreAway
from receiver.batch import Limits
from receiver.delivery import Delivery
from receiver.meters import Meters
from receiver.otlp_grpc import OtlpGrpc
from receiver.otlp_http import otlp_http
from receiver.pipeline import CONNECTIONS, Pipeline
from receiver.replay import Replay
from receiver.resends import Resends
from receiver.rules import load_rules
from receiver.sanitizer import Sanitizer
from receiver.scrub import Scrub
from receiver.senders import Senders
from receiver.spool import Spool
from receiver.transform import Transform
from telemetry.credentials import FILE as CREDENTIALS
from telemetry.credentials import users
from telemetry.health import health, metrics
from telemetry.memory import give_back_free_pages, give_back_large_buffers, page_out
from telemetry.settings import Settings
from telemetry.store import Store, address, open_engine, open_store
from telemetry.tls import Files, Tls
from telemetry.usage import Usage, UsageMeters, ask_engine, ask_server
from telemetry.web import WebServer

log = structlog.get_logger()

# How long a start waits for a ClickHouse server before it goes on without one.
_OPEN_SECONDS = 10.0


class StartError(Exception):
    """The server cannot start; the text has the remedy."""


class InUseError(StartError):
    """Another process holds the data directory; the text has the remedy."""


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then drain and return."""
    give_back_large_buffers()
    rules = load_rules(settings.sanitize_config, settings.sanitize_level)
    hash_key = settings.hash_key.get_secret_value()
    tls = _tls(settings)
    with data_directory(settings) as directory:
        engine = open_engine(settings, directory, CONNECTIONS)
        try:
            store = open_store(settings, engine, _tell)
            scrub = Scrub(Sanitizer(rules, hash_key or None))
            transform = Transform(engine, rules, scrub, hash_key, settings.retention_days)
            meters = Meters()
            _try_to_open(store)
            door = None if settings.clickhouse_url else _clickhouse_http(settings, engine, directory, meters)
            resends, spool = _open_spool(settings, directory, meters)
            delivery = Delivery(store.writer, spool, resends, meters, settings.clickhouse_insert_seconds)
            replay = Replay(spool, delivery, meters, {*STRUCTURES, *spool.tables()})
            _measure(meters, spool, delivery)
            limits = Limits(
                settings.batch_bytes,
                settings.batch_records,
                settings.batch_age_ms / 1000,
                settings.queue_bytes,
            )
            pipeline = Pipeline(transform, delivery, resends, limits, meters)
            replay.start()
            usage = Usage(
                ask_server(address(settings))
                if settings.clickhouse_url
                else ask_engine(engine, settings.database),
                UsageMeters(meters.registry),
                settings.budget_usd_month,
                directory,
            )
            try:
                await _run(settings, pipeline, delivery, meters, door, tls, usage)
            finally:
                delivery.hurry()
                replay.stop()
            if door:
                door.close()
            resends.close()
            store.writer.close()
        finally:
            engine.close()
    log.info("Stopped; everything acknowledged is stored.")


async def _run(
    settings: Settings,
    pipeline: Pipeline,
    delivery: Delivery,
    meters: Meters,
    door: ClickHouseHttp | None,
    tls: Tls | None,
    usage: Usage,
) -> None:
    senders = Senders(pipeline.accept, settings.tokens, meters, settings.rate_limit_bytes)
    listening: dict[str, str] = {}
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)

    def is_ready() -> bool:
        return len(listening) == 1 + len(web) and not stopping.is_set()

    grpc = OtlpGrpc(senders, meters, settings.max_request_bytes)
    timeout = settings.body_timeout_seconds
    http_app = otlp_http(senders, meters, settings.max_request_bytes, timeout, settings.cors_origins)
    web: dict[str, tuple[WebServer, int]] = {
        "otlp_http": (WebServer(http_app, timeout, tls.context() if tls else None), settings.otlp_http_port),
        "metrics": (WebServer(metrics(meters.registry), timeout), settings.metrics_port),
        "health": (
            WebServer(health(is_ready, listening, lambda: delivery.troubles), timeout),
            settings.health_port,
        ),
    }
    if door:
        web["clickhouse_http"] = WebServer(door, timeout), settings.clickhouse_http_port
    pipeline.start()
    try:
        port = await grpc.start(settings.host, settings.otlp_grpc_port, tls.credentials() if tls else None)
        scheme = "https://" if tls else ""
        listening["otlp_grpc"] = scheme + _address(settings.host, port)
        for name, (server, asked) in web.items():
            address = _address(settings.host, await server.start(settings.host, asked))
            listening[name] = scheme + address if name == "otlp_http" else address
    except (OSError, RuntimeError):
        missing = next(name for name in ("otlp_grpc", *web) if name not in listening)
        for server, _ in web.values():
            await server.stop(0)
        await grpc.stop(0)
        await pipeline.stop()
        raise StartError(
            f"Listening for {missing} failed: its port is taken or not allowed."
            f" Stop the other program, or set TELEMETRY_{missing.upper()}_PORT to another port (0: any free one)."
        ) from None
    page_out("_chdb.abi3.so")
    # What lives now lives on: let the collector look at what comes and goes.
    gc.freeze()
    # Requests that wait are young objects that live on; no cycles come with them.
    gc.set_threshold(50_000, 20, 100)
    # The engine's threads call our functions and must not wait 5 ms (the default) for Python's lock each time.
    sys.setswitchinterval(0.0005)
    _announce(settings, listening)
    refreshing = asyncio.gather(usage.run(stopping), give_back_free_pages(stopping))
    await stopping.wait()
    log.info("Stopping: no new requests; those under way are being stored.")
    await grpc.refuse()
    pipeline.hasten()
    http, _ = web["otlp_http"]
    grace = settings.shutdown_seconds
    hurrying = loop.call_later(grace / 2, delivery.hurry)
    await asyncio.gather(grpc.stop(grace), http.stop(grace))
    await pipeline.stop()
    hurrying.cancel()
    for name in web.keys() - {"otlp_http"}:
        await web[name][0].stop(1)
    await refreshing


def _tell(applied: Sequence[Migration]) -> None:
    for migration in applied:
        log.info("Schema migrated.", number=migration.number, name=migration.name)


def _try_to_open(store: Store) -> None:
    """Open the store, or go on without one that does not answer. Raises StoreUnfit when it can never be used."""
    failures: list[Exception] = []

    def open_it() -> None:
        try:
            store.open()
        except Exception as error:  # noqa: BLE001  told to who waits
            failures.append(error)

    thread = threading.Thread(target=open_it, name="open", daemon=True)
    thread.start()
    thread.join(_OPEN_SECONDS)
    if thread.is_alive():
        failures.append(StoreAway(f"ClickHouse does not answer within {_OPEN_SECONDS:g} s."))
    for failure in failures:
        if not isinstance(failure, StoreAway):
            raise failure
        log.warning("Starting without ClickHouse: what comes waits in the spool.", error=str(failure))


def _open_spool(settings: Settings, directory: Path, meters: Meters) -> tuple[Resends, Spool]:
    spool = Spool(directory, settings.spool_bytes)
    resends = Resends(settings.resend_seconds, directory / "spool" / "requests.log")
    try:
        found = spool.open()
        resends.open(found.requests)
    except OSError as error:
        raise StartError(
            f"The spool in the data directory cannot be used ({error.strerror}): make it writable, or set"
            " TELEMETRY_DATA_DIR to another directory."
        ) from None
    meters.corrupt_files.inc(found.corrupt)
    if found.blocks or found.corrupt:
        log.info(
            "Blocks wait in the spool.", blocks=found.blocks, records=found.records, corrupt=found.corrupt
        )
    return resends, spool


def _measure(meters: Meters, spool: Spool, delivery: Delivery) -> None:
    """Let the gauges read what they show when they are scraped."""
    meters.spool_bytes.set_function(lambda: spool.bytes)
    meters.store_up.set_function(lambda: not delivery.troubles)
    for table in STRUCTURES:
        meters.waiting_blocks.labels(table).set_function(partial(spool.count, table))
        meters.waiting_seconds.labels(table).set_function(partial(spool.age_seconds, table))


def _clickhouse_http(settings: Settings, engine: Engine, directory: Path, meters: Meters) -> ClickHouseHttp:
    limits = QueryLimits(
        settings.queries,
        settings.query_seconds,
        settings.query_memory_bytes,
        settings.query_result_rows,
        settings.query_result_bytes,
        threads=os.cpu_count() or 2,
        patience_seconds=settings.body_timeout_seconds,
    )
    return ClickHouseHttp(engine, settings.database, users(settings, directory), limits, meters.queries)


@contextmanager
def data_directory(settings: Settings) -> Iterator[Path]:
    """Make the data directory, for us alone, and hold it against a second server."""
    directory = settings.data_dir
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise StartError(
            f"The data directory cannot be used ({error.strerror}): set TELEMETRY_DATA_DIR to a writable one."
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InUseError(
            "Another server uses the data directory: stop it, or set TELEMETRY_DATA_DIR to another one."
        ) from None
    try:
        yield directory
    finally:
        with suppress(OSError):
            os.close(descriptor)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tls(settings: Settings) -> Tls | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Tls(Files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca))


def _announce(settings: Settings, listening: dict[str, str]) -> None:
    store = settings.clickhouse_url or str((settings.data_dir / "clickhouse").resolve())
    log.info("Ready.", **listening, data=store, privacy=settings.sanitize_level.value)
    if settings.log_format == "json":
        return
    door = listening.get("clickhouse_http")
    reading = f"  ClickHouse  http://{door}  (passwords: {settings.data_dir / CREDENTIALS})\n" if door else ""
    print(  # noqa: T201  the banner is for the person who started us
        f"""
  OTLP/gRPC   {listening["otlp_grpc"]}
  OTLP/HTTP   {_url(listening["otlp_http"])}
{reading}  Metrics     http://{listening["metrics"]}/metrics
  Health      http://{listening["health"]}/ready
  Data        {store} (kept {settings.retention_days} days, privacy: {settings.sanitize_level})

  Point Claude Code here, in the shell that starts it:

    export CLAUDE_CODE_ENABLE_TELEMETRY=1 OTEL_METRICS_EXPORTER=otlp OTEL_LOGS_EXPORTER=otlp
    export OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_ENDPOINT={_url(listening["otlp_grpc"])}
    export CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 OTEL_TRACES_EXPORTER=otlp
{_credentials(settings)}
  Ask, in another shell: .venv/bin/telemetry query --list
  Ctrl-C stores what is under way and stops.
""",
        flush=True,
    )


def _url(address: str) -> str:
    return address if address.startswith("https://") else f"http://{address}"


def _credentials(settings: Settings) -> str:
    """Give the lines for what clients must show and trust, with places to fill in."""
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
