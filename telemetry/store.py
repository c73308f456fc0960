"""Where the rows go, opened and brought to the schema of this version: the embedded engine's tables, or a server's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from clickhouse.columns import STRUCTURES
from clickhouse.engine import Engine
from clickhouse.mend import forget_unused_tokens
from clickhouse.migrations import Migration, SchemaError, Session, check_columns, columns, migrate
from clickhouse.prices import load_prices, read_prices
from clickhouse.server import Address, ServerWriter, StoreUnfit
from clickhouse.store import DailyWriter, EmbeddedWriter
from telemetry.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Store:
    """The writer to the tables; and how to make them ready at once, which otherwise the first insert does."""

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
    if forgotten := forget_unused_tokens(data):
        log.info("Inserts that a kill cut off are made again.", tokens=forgotten)
    return Engine(data, connections)


def open_store(settings: Settings, engine: Engine, applied: Callable[[Sequence[Migration]], None]) -> Store:
    """Open the tables of the embedded engine, or point at a server's; tell which migrations are applied, when they are.

    In server mode the engine's own tables stay empty: they say what the server's should be like. Raises SchemaError or
    PricesError.
    """
    prices = read_prices(settings.prices)
    engine.use(settings.database)
    made = migrate(engine, settings.retention_days)
    if settings.clickhouse_url is None:
        applied(made)
        load_prices(engine, prices)
        return Store(DailyWriter(EmbeddedWriter(engine), engine), lambda: None)
    expected = {table: kinds for table, kinds in columns(engine).items() if table in STRUCTURES}

    def prepare(session: Session) -> None:
        try:
            applied(migrate(session, settings.retention_days))
            check_columns(expected, columns(session))
            load_prices(session, prices)
        except SchemaError as error:
            raise StoreUnfit(str(error)) from None

    server = ServerWriter(address(settings), prepare)
    return Store(DailyWriter(server, engine), server.open)


def address(settings: Settings) -> Address:
    """Give the ClickHouse server that the settings name."""
    assert settings.clickhouse_url is not None, "there is one in server mode alone"  # noqa: S101  a mistake in the program
    return Address(
        settings.clickhouse_url,
        settings.clickhouse_user,
        settings.clickhouse_password.get_secret_value(),
        settings.database,
        settings.clickhouse_ca_file,
        settings.clickhouse_cluster,
        settings.clickhouse_connect_seconds,
        settings.clickhouse_insert_seconds,
    )
