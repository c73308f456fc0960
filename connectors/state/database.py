"""The database of the state: opened, brought to this version's tables, and used in short transactions.

SQLite is written by several processes at once (the web process, the command line, each `telemetry mcp`): its log is
written ahead (WAL), and a transaction takes the lock for writing when it begins, so that none fails in its middle.
Errors of the database become StateError and quote no values.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from connectors.state.errors import StateError

FILE: Final = "state.db"
_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_WAIT_SECONDS: Final = 10
_LOCK: Final = 7_311_604_528
"""The number of PostgreSQL's advisory lock, under which the tables are migrated and credentials are written."""
_NEWER: Final = (
    "The state was written by a newer version of this program: install that one, or set TELEMETRY_STATE_URL to another"
    " database."
)


class Database:
    """An open database. Its methods block; several threads may use them."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @property
    def is_shared(self) -> bool:
        """Whether it is a server that other machines may use, and not a file."""
        return self._engine.dialect.name != "sqlite"

    @contextmanager
    def transaction(self, *, locks: bool = False) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction; with `locks` no other one that locks runs meanwhile.

        Raises StateError. IntegrityError is raised as it is.
        """
        try:
            with self._engine.begin() as connection:
                if locks and self.is_shared:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise _failed(error) from None

    def migrate(self) -> None:
        """Apply what is missing. Raises StateError, also for tables of a newer version."""
        config = Config()
        # The path may hold a % sign, which Alembic would take for the beginning of a name.
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self.transaction(locks=True) as connection:
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError:
                raise StateError(_NEWER) from None

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def opened(url: str, folder: Path) -> Database:
    """Return the database at an address, or in a file of the folder for an empty one. Raises StateError."""
    database = Database(_server(url) if url else _file(folder / FILE))
    try:
        database.migrate()
    except BaseException:
        database.close()
        raise
    return database


def _file(path: Path) -> sa.Engine:
    try:
        # Made before SQLite makes it, and readable by its owner alone; the log beside it gets the same mode.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StateError(
            f"{path.name} cannot be opened in the data directory ({error.strerror}): set TELEMETRY_DATA_DIR to a"
            " writable one, or TELEMETRY_STATE_URL."
        ) from None
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _WAIT_SECONDS},
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: Any) -> None:
    # The driver would begin transactions late, and not before a change of tables.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _server(text: str) -> sa.Engine:
    try:
        url = make_url(text)
        if url.get_backend_name() not in {"postgresql", "postgres"}:
            raise StateError("TELEMETRY_STATE_URL must begin with postgresql://.")
        return sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_size=5,
            connect_args={"connect_timeout": _WAIT_SECONDS},
            hide_parameters=True,
        )
    except (ArgumentError, ValueError):
        raise StateError(
            "TELEMETRY_STATE_URL cannot be read: write it as postgresql://user:password@host/database."
        ) from None
    except ModuleNotFoundError:
        raise StateError("PostgreSQL's driver is missing: install claude-code-telemetry[postgres].") from None


def _failed(error: SQLAlchemyError) -> StateError:
    """Return the error without statement and values: its kind, and the cause's."""
    cause = getattr(error, "orig", None)
    kind = type(cause if cause is not None else error).__name__
    return StateError(
        f"The state cannot be used ({kind}): look at the disk and the permissions of the data directory, or at the"
        " database of TELEMETRY_STATE_URL."
    )
