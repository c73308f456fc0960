"""The composition root: builds the server's parts from the settings, and closes them in the opposite order.

Any error in settings, files or tables is raised here, before anything listens.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson
import structlog

from access.usage import QUERY_SECONDS, Rows, Usage, UsageMetrics, ask_server, row_of
from clickhouse.columns import STRUCTURES
from clickhouse.endpoint import server_endpoint
from clickhouse.engine import Engine
from clickhouse.migrations import Migration
from clickhouse.startup import Store, open_engine, open_store
from clickhouse.store import StoreAway
from config.credentials import made_hash_key, passwords
from config.data_directory import StartError, data_directory
from config.disk_room import warn_of_little_room
from config.settings import Settings
from gateway.app import ClickHouseHttp, User
from gateway.limits import QueryLimits
from gateway.policy import Role
from gateway.session import ask_read_only
from otlp.bounds import RequestLimits
from privacy.measuring import measure_own
from privacy.rules import Rules, load_rules
from privacy.sanitizer import Sanitizer
from receiver.delivery import Delivery
from receiver.disk import Disk
from receiver.inserter import Inserter
from receiver.metrics import Metrics
from receiver.native import transform_of
from receiver.pipeline import CONNECTIONS, Pipeline
from receiver.repeats import Repeats
from receiver.replay import Replay
from receiver.resends import Resends
from receiver.scrub import Scrub
from receiver.signal_queue import QueueLimits
from receiver.spool import Spool
from receiver.store_health import StoreHealth
from telemetry.listeners.ports import try_ports
from telemetry.listeners.tls import Tls, tls_of

log = structlog.get_logger()

# How long a start waits for a ClickHouse server before it goes on without one.
_OPEN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The server's parts. The pipeline is not started; replay is."""

    pipeline: Pipeline
    inserter: Inserter
    store_health: StoreHealth
    metrics: Metrics
    usage: Usage
    clickhouse_http: ClickHouseHttp | None
    """None in server mode, where clients ask the ClickHouse server itself."""
    tls: Tls | None


@contextmanager
def parts_of(settings: Settings) -> Iterator[Parts]:
    """Build the parts, and hold the data directory, until the caller is done with them.

    At the end no insert is waited for, replay stops, and the open parts are closed, the engine last.
    """
    rules = load_rules(settings.sanitize_config, settings.sanitize_level)
    if settings.sanitize_config:
        measure_own(rules)
    tls = tls_of(settings)
    with data_directory(settings) as directory:
        try_ports(settings)
        warn_of_little_room(directory)
        hash_key = made_hash_key(settings, directory)
        _warn_of_plain_hashes(settings, rules, hash_key)
        _warn_of_no_schedule(settings)
        engine = open_engine(settings, directory, CONNECTIONS)
        try:
            store = open_store(settings, engine, _log_migrations)
            scrub = Scrub(Sanitizer(rules, hash_key or None))
            transform = transform_of(
                settings.transform, engine, rules, scrub, hash_key, settings.retention_days
            )
            metrics = Metrics()
            _try_to_open(store)
            clickhouse_http = _clickhouse_http(settings, engine, directory, metrics)
            resends, spool = _open_spool(settings, directory, metrics)
            health = StoreHealth(spool, metrics)
            inserter = Inserter(store.writer, health, metrics, settings.clickhouse_insert_seconds)
            disk = Disk(spool, resends, metrics)
            delivery = Delivery(inserter, health, disk)
            repeats = _open_repeats(settings, engine, directory)
            bounds = request_limits(settings)
            pipeline = Pipeline(
                transform, delivery, health, resends, repeats, _limits(settings), metrics, bounds
            )
            replay = Replay(spool, inserter, health, disk, metrics, {*STRUCTURES, *spool.tables()})
            usage = _usage(settings, engine, directory, metrics)
            _measure(metrics, spool, health)
            replay.start()
            try:
                yield Parts(pipeline, inserter, health, metrics, usage, clickhouse_http, tls)
            finally:
                inserter.hurry()
                replay.stop()
            if clickhouse_http:
                clickhouse_http.close()
            resends.close()
            repeats.close()
            store.writer.close()
        finally:
            engine.close()


def _warn_of_plain_hashes(settings: Settings, rules: Rules, hash_key: str) -> None:
    if rules.hash_keys and not hash_key and not settings.hash_key.get_secret_value():
        log.warning(
            "Hashes have no key, so short texts can be found by guessing: set TELEMETRY_HASH_KEY to the output of"
            " `openssl rand -hex 32`, after which new hashes differ from old ones, or to off to keep it so."
        )


def _warn_of_no_schedule(settings: Settings) -> None:
    if settings.web_port == "off" and settings.alert_webhook.get_secret_value():
        log.warning(
            "The web process sends the alerts, and is off: set TELEMETRY_WEB_PORT to a port, or run `telemetry findings"
            " --notify` from cron."
        )


def _log_migrations(applied: Sequence[Migration]) -> None:
    if applied:
        log.info("Schema migrated.", migrations=len(applied), newest=applied[-1].number)


def _try_to_open(store: Store) -> None:
    """Open the store, or go on without it when it does not answer. Raises StoreUnfit when it can never be used."""
    failures: list[Exception] = []

    def open_it() -> None:
        try:
            store.open()
        except Exception as error:  # noqa: BLE001  raised below, in the thread that waits
            failures.append(error)

    thread = threading.Thread(target=open_it, name="open", daemon=True)
    thread.start()
    thread.join(_OPEN_SECONDS)
    if thread.is_alive():
        failures.append(StoreAway(f"ClickHouse does not answer within {_OPEN_SECONDS:g} s."))
    for failure in failures:
        if not isinstance(failure, StoreAway):
            raise failure
        log.warning("Starting without ClickHouse: new records wait in the spool.", error=str(failure))


def _open_spool(settings: Settings, directory: Path, metrics: Metrics) -> tuple[Resends, Spool]:
    spool = Spool(directory, settings.spool_bytes)
    resends = Resends(settings.resend_seconds, directory / "spool" / "requests.log")
    try:
        found = spool.open()
        resends.open(found.requests)
    except OSError as error:
        raise StartError(
            f"The spool in the data directory {directory} cannot be used ({error.strerror}): make it writable, or set"
            " TELEMETRY_DATA_DIR to another directory."
        ) from None
    metrics.corrupt_files.inc(found.corrupt)
    if found.blocks or found.corrupt:
        log.info(
            "Blocks wait in the spool.", blocks=found.blocks, records=found.records, corrupt=found.corrupt
        )
    return resends, spool


def _open_repeats(settings: Settings, engine: Engine, directory: Path) -> Repeats:
    try:
        return Repeats(engine, directory / "spool", settings.resend_seconds)
    except OSError as error:
        raise StartError(
            f"The hashes of stored records in the data directory cannot be opened ({error.strerror}): make it"
            " writable, or set TELEMETRY_DATA_DIR to another directory."
        ) from None


def _measure(metrics: Metrics, spool: Spool, health: StoreHealth) -> None:
    """Let the gauges read their values when they are scraped."""
    metrics.spool_bytes.set_function(lambda: spool.bytes)
    metrics.store_up.set_function(lambda: not health.troubles)
    for table in STRUCTURES:
        metrics.waiting_blocks.labels(table).set_function(partial(spool.count, table))
        metrics.waiting_seconds.labels(table).set_function(partial(spool.age_seconds, table))


def request_limits(settings: Settings) -> RequestLimits:
    """Return how many parts a request may have."""
    return RequestLimits(
        settings.max_request_records,
        settings.max_request_elements,
        settings.max_record_elements,
        settings.max_expanded_bytes,
    )


def _limits(settings: Settings) -> QueueLimits:
    return QueueLimits(
        settings.batch_bytes, settings.batch_records, settings.batch_age_ms / 1000, settings.queue_bytes
    )


def _clickhouse_http(
    settings: Settings, engine: Engine, directory: Path, metrics: Metrics
) -> ClickHouseHttp | None:
    if settings.clickhouse_url:
        return None
    limits = QueryLimits(
        settings.queries,
        settings.query_seconds,
        settings.query_memory_bytes,
        settings.queries_memory_bytes,
        settings.query_result_rows,
        settings.query_result_bytes,
        threads=os.cpu_count() or 2,
        patience_seconds=settings.body_timeout_seconds,
    )
    writer, reader = passwords(settings, directory)
    users = [
        User(settings.clickhouse_user, writer, Role.WRITER),
        User(settings.reader_user, reader, Role.READER),
    ]
    return ClickHouseHttp(engine, settings.database, users, limits, metrics.queries, metrics.unredacted_rows)


def _usage(settings: Settings, engine: Engine, directory: Path, metrics: Metrics) -> Usage:
    ask = (
        ask_server(server_endpoint(settings))
        if settings.clickhouse_url
        else _ask_engine(engine, settings.database)
    )
    return Usage(ask, UsageMetrics(metrics.registry), settings.budget_usd_month, directory)


def _ask_engine(engine: Engine, database: str) -> Callable[[str], Rows]:
    def ask(sql: str) -> Rows:
        lines = ask_read_only(engine, database, sql, QUERY_SECONDS).splitlines()
        return [row_of(orjson.loads(line)) for line in lines]

    return ask
