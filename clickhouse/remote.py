"""The writer of server mode: blocks go to a ClickHouse server or cluster over HTTP(S).

It connects at its first use, so the receiver starts while the server is away. The first insert prepares the server, for
example its schema; a later one does so again when the tables are gone. Only ClickHouse's own answer counts as success,
since a proxy or another program may answer too.

Source: https://clickhouse.com/docs/interfaces/http
"""

import re
import threading
from collections.abc import Callable
from dataclasses import replace

import lz4.frame
from clickhouse_connect.driver.httputil import check_env_proxy, get_pool_manager

from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.clustered import ClusteredDatabase
from clickhouse.database import Database
from clickhouse.endpoint import ServerEndpoint
from clickhouse.error_codes import CREDENTIALS, MISSING, PERMANENT
from clickhouse.pieces import Pieces
from clickhouse.quoting import identifier
from clickhouse.store import StoreAway, StoreError, StoreUnfit, insert_error, insert_settings

# Since then the tables that views feed deduplicate by the insert's token, however the rows are grouped.
# https://github.com/ClickHouse/ClickHouse/pull/61601
OLDEST = (24, 8)
# One for each insert at a time: two batches a signal, and one waiting block a table.
_CONNECTIONS = 16
# Errors of a server that cannot run the statements, in addition to those that refuse a block.
_UNFIT = {62, 115, 344, 370, 392, *CREDENTIALS, *PERMANENT}


class ServerWriter:
    """Writes to a ClickHouse server. `prepare` makes its tables ready, before the first insert."""

    def __init__(self, endpoint: ServerEndpoint, prepare: Callable[[Database], None]) -> None:
        self._endpoint = endpoint
        self._prepare = prepare
        self._client: Client | None = None
        self._opening = threading.Lock()
        # On one machine compressing costs more than it saves.
        self._compress = endpoint.host not in ("localhost", "127.0.0.1", "::1")
        # One for all attempts to connect, since the driver never forgets any. Through the environment's proxy, if any.
        proxy = check_env_proxy("https" if endpoint.is_secure else "http", endpoint.host, endpoint.port)
        self._pool = get_pool_manager(
            maxsize=_CONNECTIONS,
            ca_cert=str(endpoint.ca_file) if endpoint.ca_file else None,
            http_proxy=None if endpoint.is_secure else proxy,
            https_proxy=proxy if endpoint.is_secure else None,
        )

    def open(self) -> None:
        """Connect and prepare, unless it is done. Raises StoreAway or StoreUnfit."""
        self._opened()

    def insert(self, table: str, block: Pieces, token: str, *, one_part: bool = False) -> None:
        """Insert a Native block, and return when the server has committed it."""
        for is_last in (False, True):
            client = self._opened_for_insert()
            try:
                return self._send(client, table, block, token, one_part=one_part)
            except ClientError as error:
                is_missing = error.code in MISSING
                # A kept connection may have been closed meanwhile. The block has its token, so it may be sent twice.
                if is_last or not (is_missing or error.reason == "CUT_OFF"):
                    raise _insert_error(table, error, one_part=one_part) from None
            if is_missing:
                self._forget(client)
        return None

    def close(self) -> None:
        """Close the connection pool."""
        self._client = None
        self._pool.clear()

    def _send(self, client: Client, table: str, block: Pieces, token: str, *, one_part: bool) -> None:
        body = _compressed(block) if self._compress else block
        client.insert(
            table,
            body,
            {
                **insert_settings(token, one_part=one_part),
                # The server sends the status when everything is done, and not before.
                "wait_end_of_query": 1,
                "send_progress_in_http_headers": 0,
                # On a cluster: not before the shards have it.
                **({"distributed_foreground_insert": 1} if self._endpoint.cluster else {}),
            },
            size=len(body),
            encoding="lz4" if self._compress else None,
        )

    def _opened(self) -> Client:
        with self._opening:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _opened_for_insert(self) -> Client:
        """Connect for an insert. A server that cannot be used now may be repaired, so the block is not given up."""
        try:
            return self._opened()
        except StoreUnfit as unfit:
            raise StoreAway(str(unfit), "UNFIT", whole=True) from None

    def _forget(self, client: Client) -> None:
        with self._opening:
            if self._client is client:
                self._client = None

    def _connect(self) -> Client:
        endpoint = self._endpoint
        # Without the database, which may not exist yet.
        client = Client(
            replace(endpoint, database=""),
            endpoint.insert_seconds,
            connect_seconds=endpoint.connect_seconds,
            pool=self._pool,
        )
        try:
            _check_version(client.version)
            database: Database = client
            if endpoint.cluster:
                database = ClusteredDatabase(client, endpoint.cluster)
            name = identifier(endpoint.database)
            if client.rows(f"EXISTS DATABASE {name}") != [[1]]:
                database.command(f"CREATE DATABASE IF NOT EXISTS {name}")
            client.use(endpoint.database)
            self._prepare(database)
        except ClientError as error:
            raise self._unusable(error) from None
        return client

    def _unusable(self, error: ClientError) -> StoreError:
        what = _reason(error)
        if error.code in _UNFIT:
            return StoreUnfit(
                f"ClickHouse at {self._endpoint.place} cannot be used ({what}): check CLICKHOUSE_URL, CLICKHOUSE_USER"
                f" and CLICKHOUSE_PASSWORD, and that the user may create the database {self._endpoint.database} and"
                " its tables (or make them: telemetry schema prints how)."
            )
        return StoreAway(
            f"ClickHouse at {self._endpoint.place} cannot be reached ({what}): check CLICKHOUSE_URL and that it runs.",
            what,
            whole=True,
        )


def _compressed(block: Pieces) -> Pieces:
    compressor = lz4.frame.LZ4FrameCompressor()
    return Pieces([compressor.begin(len(block)), *map(compressor.compress, block), compressor.flush()])


def _check_version(version: str) -> None:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise StoreUnfit(
            f"ClickHouse {numbers[0]} is too old: before {OLDEST[0]}.{OLDEST[1]} a repeated insert adds rows to what"
            " views feed. Install a newer one."
        )


def _insert_error(table: str, error: ClientError, *, one_part: bool) -> StoreError:
    if error.code:
        return insert_error(table, error.code, error.reason, one_part=one_part)
    if error.reason == "NOT_CLICKHOUSE":
        text = f"Inserting into {table} failed: what answers at CLICKHOUSE_URL is not ClickHouse"
        return StoreAway(text, error.reason, whole=True)
    return StoreAway(
        f"Inserting into {table} failed: {error.reason}",
        error.reason,
        whole=error.reason not in _OF_ONE_TABLE,
    )


# A server that does not answer one insert may answer another.
_OF_ONE_TABLE = {"READ_TIMEOUT", "CUT_OFF"}


def _reason(error: ClientError) -> str:
    """Return a short reason for metrics: a name for the errors that are known, a number for the others."""
    known = PERMANENT.get(error.code) or CREDENTIALS.get(error.code)
    return known or (f"code {error.code}" if error.code else error.reason)
