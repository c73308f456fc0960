"""Opens the tables, the embedded engine's or a server's, and brings them to the schema of this version."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from clickhouse.columns import STRUCTURES
from clickhouse.database import Database
from clickhouse.endpoint import server_endpoint
from clickhouse.engine import Engine
from clickhouse.migrations import Migration, SchemaError, check_columns, columns, migrate
from clickhouse.prices import load_prices, read_prices
from clickhouse.repair import repair
from clickhouse.store import DailyWriter, EmbeddedWriter, StoreUnfit
from config.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Store:
    """The writer to the tables, and a function that prepares them at once; otherwise the first insert does so."""

    writer: DailyWriter
    open: Callable[[], None]
    """Raises StoreAway when a server cannot be reached, StoreUnfit when it cannot be used."""


def open_engine(settings: Settings, directory: Path, connections: int = 2) -> Engine:
    """Open the engine: over the tables in a data directory that the caller holds, or to transform alone.

    Raises EngineStartError, OSError.
    """
    if settings.clickhouse_url is not None:
        return Engine(None, connections)
    data = directory / "clickhouse"
    repaired = repair(data)
    if repaired.tokens:
        log.info("Inserts that a kill cut off are made again.", tokens=repaired.tokens)
    if repaired.lines:
        log.warning(
            "Damaged lines were taken out of the tables' deduplication logs, as a loss of power leaves them:"
            " what was stored just before it may be stored again if it is repeated.",
            lines=repaired.lines,
        )
    if repaired.unknown:
        log.warning(
            "Deduplication logs of an unknown format were left alone: an insert that a kill cut off may be missing.",
            logs=repaired.unknown,
        )
    return Engine(data, connections)


def open_store(settings: Settings, engine: Engine, applied: Callable[[Sequence[Migration]], None]) -> Store:
    """Open the tables of the embedded engine, or point at a server's; pass new migrations to `applied`.

    In server mode the engine's own tables stay empty: they define the columns that the server's must have. Raises
    SchemaError or PricesError.
    """
    prices = read_prices(settings.prices)
    engine.use(settings.database)
    made = migrate(engine, settings.retention_days, analytics_days=settings.analytics_retention_days)
    if settings.clickhouse_url is None:
        applied(made)
        load_prices(engine, prices)
        return Store(DailyWriter(EmbeddedWriter(engine), engine), lambda: None)
    expected = {table: kinds for table, kinds in columns(engine).items() if table in STRUCTURES}

    def prepare(database: Database) -> None:
        try:
            days = settings.analytics_retention_days
            applied(migrate(database, settings.retention_days, analytics_days=days))
            check_columns(expected, columns(database))
            load_prices(database, prices)
        except SchemaError as error:
            raise StoreUnfit(str(error)) from None

    from clickhouse.remote import ServerWriter  # noqa: PLC0415  its driver takes a fifth of a second to import

    server = ServerWriter(server_endpoint(settings), prepare)
    return Store(DailyWriter(server, engine), server.open)
