"""Removes imported history again, exactly: its records, and their part of the sums that people's own records are in.

It works as the user who writes, through ClickHouse's HTTP interface. Sums are made again from the events that stay,
before the imported events go, because these say which sums are concerned: an interrupted removal can be repeated. A
record of the same person and day that arrives in the moments between may count twice in that day's sums.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from clickhouse.client import Client
from clickhouse.client_errors import ClientError
from clickhouse.quoting import identifier
from onboarding.history.requests import IMPORTED

SECONDS: Final = 3600
"""How long the rewriting of a table may take."""
_EVENT: Final = f"attributes['{IMPORTED}'] = 'true'"
_RECORD: Final = f"ResourceAttributes['{IMPORTED}'] = 'true'"
_SUMS: Final = (
    ("telemetry_hourly", "toDate(hour, 'UTC')", "user_id"),
    ("telemetry_daily", "day", "user_id"),
    ("telemetry_sessions", "day", "session_id"),
    ("telemetry_measures", "toDate(hour, 'UTC')", "user_id"),
)
"""Each with the day and the owner of a row."""
_DAY: Final = "toDate(least(timestamp, toDateTime64('2100-01-01 00:00:00', 9, 'UTC')), 'UTC')"
_OTHERS: Final = f"(SELECT * FROM telemetry_events WHERE NOT ({_EVENT}))"  # noqa: S608
_SOURCE: Final = re.compile(r"\bFROM (?:`?\w+`?\.)?`?telemetry_events`?(?!\w)(?: AS (\w+))?")
_NOT_TWICE: Final = {"insert_deduplicate": 0}
"""The same sums may have been made before, and removed."""


class RemoveError(Exception):
    """Not everything was removed. The text has the remedy."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A table, and how many rows it lost."""

    table: str
    rows: int


def remove(client: Client) -> Iterator[Removed]:
    """Remove the imported history table by table, and yield what went. Raises RemoveError."""
    try:
        if not client.rows(f"SELECT 1 FROM telemetry_events WHERE {_EVENT} LIMIT 1"):  # noqa: S608  constants
            yield Removed("otel_logs", _delete(client, "otel_logs", _RECORD))
            return
        concerned = {
            table: f"({day}, {owner}) IN (SELECT {_DAY}, {owner} FROM telemetry_events WHERE {_EVENT})"  # noqa: S608
            for table, day, owner in _SUMS
        }
        for table, condition in concerned.items():
            _delete(client, table, condition)
        for table, condition in concerned.items():
            _make_again(client, table, condition)
        yield Removed("telemetry_events", _delete(client, "telemetry_events", _EVENT))
        yield Removed("otel_logs", _delete(client, "otel_logs", _RECORD))
    except ClientError as error:
        raise RemoveError(f"{error} The rest is removed when this is run again.") from None


def _delete(client: Client, table: str, condition: str) -> int:
    ((rows,),) = client.rows(f"SELECT count() FROM {table} WHERE {condition}")  # noqa: S608  names of the schema
    if rows:
        client.command(f"ALTER TABLE {table} DELETE WHERE {condition}", settings={"mutations_sync": 2})
    return int(rows)


def _make_again(client: Client, table: str, concerned: str) -> None:
    """Sum the events that stay as the table's view does. Sums of sums follow by themselves."""
    view = {"view": f"{table}_mv"}
    ((select,),) = client.rows(
        "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = {view:String}",
        view,
    )
    # The engine writes the name with its database in front.
    others, found = _SOURCE.subn(
        lambda source: f"FROM {_OTHERS} AS {source[1] or 'telemetry_events'}", select
    )
    if not found:
        return
    # The view's own list of columns is the one that it was made with.
    head = b"".join(client.stream(f"SELECT * FROM ({others}) LIMIT 0", None, "JSONCompactEachRowWithNames"))  # noqa: S608
    columns = ", ".join(map(identifier, orjson.loads(head)))
    client.command(
        f"INSERT INTO {table} ({columns}) SELECT {columns} FROM ({others}) WHERE {concerned}",  # noqa: S608
        settings=_NOT_TWICE,
    )
