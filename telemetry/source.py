"""Whom to ask from the command line: the ClickHouse interface of the server that the settings describe."""

from collections.abc import Mapping

import orjson

from access.query import AskError, Reader
from clickhouse.client import Source
from telemetry.address import clickhouse
from telemetry.credentials import reader_password, writer_password
from telemetry.settings import Settings


def reader_source(settings: Settings, url: str | None) -> Source:
    """Give the address, with the user who only reads. Raises AskError when no address is to be had."""
    return Source(
        address(settings, url),
        settings.reader_user,
        reader_password(settings),
        settings.database,
        settings.clickhouse_ca_file,
    )


def writer_source(settings: Settings, url: str | None) -> Source:
    """Give the address, with the user who writes. Raises AskError when no address is to be had."""
    return Source(
        address(settings, url),
        settings.clickhouse_user,
        writer_password(settings),
        settings.database,
        settings.clickhouse_ca_file,
    )


def address(settings: Settings, url: str | None) -> str:
    """Give the ClickHouse interface's address: the one named, a server's, or this server's own. Raises AskError."""
    found = url or clickhouse(settings)
    if found is None:
        raise AskError(
            "The server listens on any free port: name its address with --url; its log says which it is."
        )
    return found


def ask_value(reader: Reader, sql: str, values: Mapping[str, str]) -> str:
    """Ask for the one value of one row, as text; "" when there is no row. Raises AskError."""
    lines = b"".join(reader.ask(sql, values, "jsonl")).splitlines()
    return str(next(iter(orjson.loads(lines[0]).values()))) if lines else ""
