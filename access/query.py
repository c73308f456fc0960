"""Ask ClickHouse, embedded or a server, over its HTTP interface, in a format that ClickHouse itself writes."""

import logging
from collections.abc import Iterator, Mapping
from typing import Final

from clickhouse_connect.driver.exceptions import ClickHouseError

from clickhouse.client import Source, connect

FORMATS: Final[Mapping[str, str]] = {
    "table": "PrettyCompact",
    "csv": "CSVWithNames",
    "json": "JSON",
    "jsonl": "JSONEachRow",
    "parquet": "Parquet",
    "markdown": "Markdown",
}
# The driver logs what it also raises.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
_PIECE: Final = 1 << 20
_SECONDS: Final = 300
_MAX_ERROR: Final = 4000


class AskError(Exception):
    """The question was not answered. The text is the server's own, or says how to reach it."""


class Reader:
    """A connection to ask on. Raises AskError when there is none to be had."""

    def __init__(self, source: Source) -> None:
        try:
            self._client = connect(source, _SECONDS)
        except (ClickHouseError, OSError) as error:
            raise AskError(_remedy(source, error)) from None

    def ask(self, sql: str, values: Mapping[str, str], output_format: str) -> Iterator[bytes]:
        """Run a statement with its parameters bound, and yield the result as it comes. Raises AskError.

        `output_format` is a key of FORMATS; a FORMAT in the statement itself wins.
        """
        try:
            with self._client.raw_stream(
                sql, dict(values), transport_settings={"X-ClickHouse-Format": FORMATS[output_format]}
            ) as stream:
                while piece := stream.read(_PIECE):
                    yield piece
        except (ClickHouseError, OSError) as error:
            raise AskError(_plain(error)) from None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _plain(error: Exception) -> str:
    """Give the server's words without the driver's."""
    text = str(error)[:_MAX_ERROR]
    return text.partition("server response: ")[2].partition(" (for url ")[0] or text


def _remedy(source: Source, error: Exception) -> str:
    text = str(error)
    if "AUTHENTICATION_FAILED" in text or "REQUIRED_PASSWORD" in text:
        return (
            f"{source.url} does not know {source.user} with this password: set TELEMETRY_READER_PASSWORD, or run this"
            " where the server's data directory is."
        )
    kind = type(error).__name__
    return f"Nothing answers at {source.url} ({kind}): start the server, or name another one with --url."
