"""The writer of server mode: blocks go to a ClickHouse server or cluster over HTTP(S).

It connects when it is first needed, so the receiver starts while the server is away; what is to be done before the
first insert, such as the schema, is done once by whoever comes first and again when the tables turn out to be gone.
Every answer is looked at with care: success is only what ClickHouse itself says.

Source: https://clickhouse.com/docs/interfaces/http
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import lz4.frame
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httputil import check_env_proxy, get_pool_manager

from clickhouse.client import Source
from clickhouse.clustered import ClusteredSession
from clickhouse.engine import identifier
from clickhouse.faults import CREDENTIALS, MISSING, PERMANENT
from clickhouse.migrations import Session
from clickhouse.pieces import Pieces
from clickhouse.store import StoreAway, StoreError, fault, insert_settings

# Since then what views feed is deduplicated by the token of the insert, however the rows fall together.
# https://github.com/ClickHouse/ClickHouse/pull/61601
OLDEST = (24, 8)
# As many as insert at a time: two batches a signal, and one block a table that waited.
_CONNECTIONS = 16
# What a server says that cannot run our statements, besides what makes a block refused.
_UNFIT = {62, 115, 344, 370, 392, *CREDENTIALS, *PERMANENT}


class StoreUnfit(StoreError):  # noqa: N818  what happened, as in Python's own StopIteration
    """The server is there and cannot be used: a wrong password, a right that is missing, an old version, a schema."""


@dataclass(frozen=True, slots=True)
class Address(Source):
    """Where a ClickHouse server is, and how long to wait for it."""

    cluster: str | None = None
    connect_seconds: float = 5.0
    insert_seconds: float = 60.0

    @property
    def place(self) -> str:
        """Host, port and user, for people."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{self.port} as {self.user}"


class ServerSession:
    """Statements on a server, for the migrations. Raises the driver's errors."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing."""
        self._client.command(sql, parameters=dict(params or {}))

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """Run a query and return its rows."""
        return self._client.query(sql, parameters=dict(params or {})).result_rows


class ServerWriter:
    """Writes to a ClickHouse server. `prepare` makes its tables ready, before the first insert."""

    def __init__(self, address: Address, prepare: Callable[[Session], None]) -> None:
        self._address = address
        self._prepare = prepare
        self._client: Client | None = None
        self._opening = threading.Lock()
        parts = urlsplit(address.url)
        host, secure = parts.hostname or "localhost", parts.scheme == "https"
        # On one machine compressing costs more than it saves.
        self._compress = host not in ("localhost", "127.0.0.1", "::1")
        # One for all attempts to connect, since the driver never forgets any. Through the environment's proxy, if any.
        self._pool = get_pool_manager(
            maxsize=_CONNECTIONS,
            ca_cert=str(address.ca_file) if address.ca_file else None,
            http_proxy=None if secure else check_env_proxy("http", host, address.port),
            https_proxy=check_env_proxy("https", host, address.port) if secure else None,
        )

    def open(self) -> None:
        """Connect and prepare, unless that is done. Raises StoreAway or StoreUnfit."""
        self._opened()

    def insert(self, table: str, block: Pieces, token: str, *, one_part: bool = False) -> None:
        """Insert a Native block; the server has committed it when this returns."""
        for is_last in (False, True):
            client = self._opened_for_insert()
            try:
                return self._send(client, table, block, token, one_part=one_part)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001  an edge: the driver meets whatever answers there
                is_missing = getattr(error, "code", None) in MISSING
                # A connection that was kept may have been closed meanwhile; with its token the block may go twice.
                if is_last or not (is_missing or _name(error) == "CUT_OFF"):
                    raise _fault(table, error, one_part=one_part) from None
            if is_missing:
                self._forget(client)
        return None

    def close(self) -> None:
        """Close the connection pool."""
        self._client = None
        self._pool.clear()

    def _send(self, client: Client, table: str, block: Pieces, token: str, *, one_part: bool) -> None:
        body: Any = _compressed(block) if self._compress else block
        summary = client.raw_insert(
            table,
            insert_block=body,
            settings={
                **insert_settings(token, one_part=one_part),
                # The status comes when all is done, and not before.
                "wait_end_of_query": 1,
                "send_progress_in_http_headers": 0,
                # On a cluster: not before the shards have it.
                **({"distributed_foreground_insert": 1} if self._address.cluster else {}),
            },
            fmt="Native",
            compression="lz4" if self._compress else None,
            # With its length a body is sent piece by piece as it is, without it copied into chunks.
            transport_settings={"Content-Length": str(len(body))},
        )
        if not summary.query_id():
            raise StoreAway(
                f"Inserting into {table} failed: what answers at CLICKHOUSE_URL is not ClickHouse",
                "NOT_CLICKHOUSE",
                whole=True,
            )

    def _opened(self) -> Client:
        with self._opening:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _opened_for_insert(self) -> Client:
        """Connect for an insert: a server that cannot be used now may be mended, and nothing is given up for that."""
        try:
            return self._opened()
        except StoreUnfit as unfit:
            raise StoreAway(str(unfit), "UNFIT", whole=True) from None

    def _forget(self, client: Client) -> None:
        with self._opening:
            if self._client is client:
                self._client = None

    def _connect(self) -> Client:
        address = self._address
        parts = urlsplit(address.url)
        try:
            client = clickhouse_connect.get_client(
                host=parts.hostname or "localhost",
                port=address.port,
                username=address.user,
                password=address.password,
                secure=parts.scheme == "https",
                autogenerate_session_id=False,
                connect_timeout=address.connect_seconds,
                send_receive_timeout=address.insert_seconds,
                pool_mgr=self._pool,
            )
            _check_version(client.server_version or "")
            session: Session = ServerSession(client)
            if address.cluster:
                session = ClusteredSession(session, address.cluster)
            database = identifier(address.database)
            if client.command(f"EXISTS DATABASE {database}") != 1:
                session.command(f"CREATE DATABASE IF NOT EXISTS {database}")
            client.database = address.database
            self._prepare(session)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  an edge: the driver meets whatever answers there
            raise self._unusable(error) from None
        return client

    def _unusable(self, error: Exception) -> StoreError:
        code = getattr(error, "code", None) or 0
        what = _name(error)
        if code in _UNFIT:
            return StoreUnfit(
                f"ClickHouse at {self._address.place} cannot be used ({what}): check CLICKHOUSE_URL, CLICKHOUSE_USER"
                f" and CLICKHOUSE_PASSWORD, and that the user may create the database {self._address.database} and"
                " its tables (or make them: telemetry schema prints how)."
            )
        return StoreAway(
            f"ClickHouse at {self._address.place} cannot be reached ({what}): check CLICKHOUSE_URL and that it runs.",
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


def _fault(table: str, error: Exception, *, one_part: bool) -> StoreError:
    code = getattr(error, "code", None)
    if code:
        return fault(table, code, str(getattr(error, "name", None) or ""), one_part=one_part)
    what = _name(error)
    return StoreAway(f"Inserting into {table} failed: {what}", what, whole=what not in _OF_ONE_TABLE)


# A server that does not answer one insert may answer another.
_OF_ONE_TABLE = {"READ_TIMEOUT", "CUT_OFF"}


def _name(error: Exception) -> str:
    """Name an error of ClickHouse, of the network or of the driver by a few words of ours."""
    code = getattr(error, "code", None)
    if code:
        return PERMANENT.get(code) or CREDENTIALS.get(code) or f"code {code}"
    seen: BaseException | None = error
    while seen is not None:
        if known := _NETWORK.get(type(seen).__name__):
            return known
        inner = getattr(seen, "reason", None)  # urllib3's own chain
        seen = inner if isinstance(inner, BaseException) else seen.__cause__
    return "BAD_ANSWER" if isinstance(error, ClickHouseError) else type(error).__name__


_NETWORK = {
    "NameResolutionError": "UNKNOWN_HOST",
    "ConnectTimeoutError": "CONNECT_TIMEOUT",
    "NewConnectionError": "CONNECTION_REFUSED",
    "SSLError": "TLS",
    "ReadTimeoutError": "READ_TIMEOUT",
    "ProtocolError": "CUT_OFF",
    "IncompleteRead": "CUT_OFF",
}
