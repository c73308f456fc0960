"""Where the rows go, opened and brought to the schema of this version: the embedded engine's tables, or a server's."""

from collections.abc import Sequence

from clickhouse.engine import Engine
from clickhouse.migrations import Migration, Session, migrate
from clickhouse.prices import load_prices, read_prices
from clickhouse.store import EmbeddedWriter, ServerSession, Writer
from telemetry.settings import Settings


def open_store(settings: Settings, engine: Engine | None) -> tuple[Writer, Sequence[Migration]]:
    """Open the tables; give the writer to them and the migrations that were applied.

    `engine` owns the tables when CLICKHOUSE_URL is not set. Raises StoreError, SchemaError or PricesError.
    """
    prices = read_prices(settings.prices)
    writer: Writer
    session: Session
    if settings.clickhouse_url is not None:
        password = settings.clickhouse_password.get_secret_value()
        server = ServerSession(settings.clickhouse_url, settings.clickhouse_user, password, settings.database)
        writer, session = server, server
    else:
        assert engine is not None, "embedded tables need their engine"  # noqa: S101  a mistake in the program
        engine.use(settings.database)
        writer, session = EmbeddedWriter(engine), engine
    applied = migrate(session, settings.retention_days)
    load_prices(session, prices)
    return writer, applied
