"""ClickHouse's own Python driver, connected to the gateway, and tables for one test each."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, Final

import clickhouse_connect
import lz4.frame
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
)

from otlp.compression import zstd
from tests.server import Server

CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
    "gzip": gzip.compress,
}
AWKWARD: Final = (
    "",
    "it's",
    'a "quoted" one',
    "`tick`",
    "back\\slash \\' \\n \\t \\\\",
    "new\nline\r\nand\ttab",
    "nul\0inside",
    "100% %s %(x)s {x:String} $1 ?",
    "naïve 空 🎉",
    "-- no comment /* here */ ;",
    "\\N",
    "NULL",
)
"""Texts that a client or a server which quotes wrongly changes."""
_NUMBER: Final = count()


@contextmanager
def connected(server: Server, user: str = "telemetry_user", **options: Any) -> Iterator[Client]:
    """Connect with the driver, and close at the end."""
    host, _, port = server.listening["clickhouse_http"].rpartition(":")
    name = "CLICKHOUSE_PASSWORD" if user == "telemetry_user" else "TELEMETRY_READER_PASSWORD"
    arguments = {"password": server.passwords[name], "dedicated_pool": True, **options}
    client = clickhouse_connect.get_client(host=host, port=int(port), username=user, **arguments)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def table(client: Client, columns: str, engine: str = "Memory", **settings: Any) -> Iterator[str]:
    """Make a table, and drop it at the end."""
    name = f"connect_{next(_NUMBER)}"
    client.command(f"CREATE TABLE {name} ({columns}) ENGINE = {engine}", settings=settings or None)
    try:
        yield name
    finally:
        client.command(f"DROP TABLE {name}")


def failed(client: Client, sql: str, **options: Any) -> DatabaseError:
    """Run a query that must fail, and return the driver's error."""
    with pytest.raises(DatabaseError) as caught:
        client.query(sql, **options)
    return caught.value
