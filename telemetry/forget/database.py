"""The database that is changed: over ClickHouse's HTTP interface, embedded or a server, as the user who writes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from clickhouse.client import Source, connect
from telemetry.forget.erase import EraseError

_SECONDS: Final = 86_400
"""Rewriting parts takes as long as it takes; a connection that breaks is noticed all the same."""


class Database:
    """A connection; `clickhouse.migrations.Session` by shape. Raises EraseError."""

    def __init__(self, source: Source) -> None:
        try:
            self._client = connect(source, _SECONDS)
        except (ClickHouseError, OSError) as error:
            raise EraseError(
                f"ClickHouse at {source.url} is not to be had as {source.user} ({type(error).__name__}): start the"
                " server, and run this where its settings and data directory are, or set CLICKHOUSE_PASSWORD."
            ) from None

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing."""
        try:
            self._client.command(sql, parameters=dict(params or {}))
        except (ClickHouseError, OSError) as error:
            raise _failed(error) from None

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """Run a query and return its rows."""
        try:
            return self._client.query(sql, parameters=dict(params or {})).result_rows
        except (ClickHouseError, OSError) as error:
            raise _failed(error) from None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _failed(error: Exception) -> EraseError:
    # The text of an error can quote what is looked for.
    return EraseError(
        f"ClickHouse did not finish ({type(error).__name__}): look at the server, then run this again with --resume."
    )
