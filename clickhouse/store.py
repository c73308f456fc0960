"""Where blocks of rows go: the tables of the embedded engine, or a ClickHouse server over HTTP.

A `Writer` takes a block in Native format and returns once it is committed: on disk and fsynced in the
embedded engine, acknowledged by the server otherwise. Each block has a token that stays with it, so that
a repeated insert of the same block adds no row. What fails raises `StoreError`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import clickhouse_connect
import lz4.frame
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from clickhouse.engine import Engine, EngineError, identifier

_INSERT_SETTINGS: Mapping[str, int] = {
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "materialized_views_ignore_errors": 0,
    # A late client's batch may span any number of days; the default refuses more than 100.
    "max_partitions_per_insert_block": 0,
    # A column that the table lacks is an error, not a column to leave out.
    "input_format_skip_unknown_fields": 0,
}


class StoreError(Exception):
    """An insert was not acknowledged. The text names the engine's error, never the data."""


class Writer(Protocol):
    """The one thing that ingest asks of a database."""

    def insert(self, table: str, block: bytes, token: str) -> None:
        """Insert a Native block once, however often it is called with the same token."""

    def close(self) -> None:
        """Give back connections."""


class EmbeddedWriter:
    """Writes to the tables of the engine in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def insert(self, table: str, block: bytes, token: str) -> None:
        """Insert a Native block; committed and fsynced when this returns."""
        try:
            self._engine.insert(table, block, {**_INSERT_SETTINGS, "insert_deduplication_token": token})
        except EngineError as error:
            raise StoreError(f"Inserting into {table} failed: {error}") from None

    def close(self) -> None:
        """Nothing to give back: the engine has an owner of its own."""


class ServerSession:
    """Writes to a ClickHouse server, and runs the migrations' statements there."""

    def __init__(self, url: str, user: str, password: str, database: str) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        try:
            self._client: Client = clickhouse_connect.get_client(
                host=parts.hostname or "localhost",
                port=parts.port or (8443 if secure else 8123),
                username=user,
                password=password,
                secure=secure,
                autogenerate_session_id=False,
                connect_timeout=10,
                send_receive_timeout=30,
            )
            self._client.command(f"CREATE DATABASE IF NOT EXISTS {identifier(database)}")
        except ClickHouseError as error:
            raise StoreError(
                f"Connecting to ClickHouse at {parts.hostname}:{parts.port} as {user} failed"
                f" ({type(error).__name__}): check CLICKHOUSE_URL, CLICKHOUSE_USER and CLICKHOUSE_PASSWORD."
            ) from None
        self._client.database = database
        # On one machine compressing costs more than it saves.
        self._compress = parts.hostname not in ("localhost", "127.0.0.1", "::1")

    def insert(self, table: str, block: bytes, token: str) -> None:
        """Insert a Native block; the server has committed it when this returns."""
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": token}
        try:
            self._client.raw_insert(
                table,
                insert_block=lz4.frame.compress(block) if self._compress else block,
                settings=settings,
                fmt="Native",
                compression="lz4" if self._compress else None,
            )
        except (ClickHouseError, OSError) as error:
            raise StoreError(f"Inserting into {table} failed: {type(error).__name__}") from None

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing."""
        self._client.command(sql, parameters=dict(params or {}))

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """Run a query and return its rows."""
        return self._client.query(sql, parameters=dict(params or {})).result_rows

    def close(self) -> None:
        """Close the connection pool."""
        self._client.close()
