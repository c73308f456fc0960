"""How the reading side asks for rows: one protocol for every source of rows.

A Store runs one statement with its values bound, as the user who only reads. It raises a Refusal and nothing else when
there is no answer: the store is away, the statement is wrong, it took too long.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from access.refusal import Code, Refusal
from access.text import visible
from access.times import zone_of
from clickhouse.client_errors import ClientError, CredentialsRefused, OtherFormat, StatementRefused
from clickhouse.endpoint import Endpoint, reader_endpoint
from config.settings import Settings

if TYPE_CHECKING:
    from clickhouse.client import Client

ROWS: Final = "JSONCompactEachRowWithNamesAndTypes"
_WORDS: Final = 800
_WRAPPED: Final = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)")
_ZONE: Final = re.compile(r"'([^']+)'")
_POSITION: Final = re.compile(r"position (\d+)(?: \(line (\d+), col (\d+)\))?")
_ERROR_NAME: Final = re.compile(r"\(([A-Z][A-Z_]+)\)")
_CODES: Final[Mapping[str, Code]] = {
    "TIMEOUT_EXCEEDED": Code.TIMEOUT,
    "SOCKET_TIMEOUT": Code.TIMEOUT,
    "QUERY_WAS_CANCELLED": Code.TIMEOUT,
    "TOO_MANY_SIMULTANEOUS_QUERIES": Code.BUSY,
    "QUOTA_EXCEEDED": Code.BUSY,
    "MEMORY_LIMIT_EXCEEDED": Code.RESULT_TOO_LARGE,
    "TOO_MANY_ROWS": Code.RESULT_TOO_LARGE,
    "TOO_MANY_BYTES": Code.RESULT_TOO_LARGE,
    "TOO_MANY_ROWS_OR_BYTES": Code.RESULT_TOO_LARGE,
    "READONLY": Code.FORBIDDEN,
    "ACCESS_DENIED": Code.FORBIDDEN,
    "QUERY_IS_PROHIBITED": Code.FORBIDDEN,
    "SETTING_CONSTRAINT_VIOLATION": Code.FORBIDDEN,
}
"""ClickHouse's errors that are not of the statement's making."""
_REMEDIES: Final[Mapping[Code, str]] = {
    Code.TIMEOUT: "Ask for a shorter period, or for fewer columns or groups.",
    Code.RESULT_TOO_LARGE: "Ask for a shorter period, or aggregate in the statement.",
}
_BUSY_SECONDS: Final = 10.0
_LONGEST_ROW: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Rows:
    """The names and ClickHouse types of the columns, and the rows with Python's types; times have a zone."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    has_more: bool = False
    """There was at least one row after these."""

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows by the names of the columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Store(Protocol):
    """Where the tables are asked."""

    def rows(
        self,
        sql: str,
        values: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
        max_bytes: int | None = None,
        is_beside: bool = False,
    ) -> Rows:
        """Return the answer, its first `at_most` rows when given: one more is asked for, and the rest is not read.

        `max_bytes` bounds what is read of the answer in the same way. A statement that `is_beside` another of the same
        answer takes little memory, and leaves the other its own. Raises Refusal.
        """
        ...

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        """Yield the answer in one of ClickHouse's formats as it arrives. Raises Refusal, also after the first bytes."""
        ...


class ClientStore:
    """A Store over ClickHouse's HTTP interface."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def rows(
        self,
        sql: str,
        values: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
        max_bytes: int | None = None,
        is_beside: bool = False,
    ) -> Rows:
        """Return the answer; see Store."""
        return parsed(self._stream(sql, values, ROWS, is_beside=is_beside), at_most, max_bytes)

    def open(self) -> None:
        """Connect, unless that is done. Raises Refusal."""
        with _refusals():
            self._client.open()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        """Yield the answer in one of ClickHouse's formats; see Store."""
        return self._stream(sql, values, output_format)

    def _stream(
        self, sql: str, values: Mapping[str, str] | None, output_format: str, *, is_beside: bool = False
    ) -> Iterator[bytes]:
        is_fixed = output_format == ROWS
        with _refusals():
            yield from self._client.stream(sql, values, output_format, is_fixed=is_fixed, is_beside=is_beside)


def reader_store(settings: Settings, url: str | None = None) -> ClientStore:
    """Return a Store where the settings say, or at `url`, as the user who only reads; it connects when it is asked.

    Raises Refusal without an address.
    """
    with _refusals():
        return ClientStore(_client(reader_endpoint(settings, url)))


def open_store(endpoint: Endpoint) -> ClientStore:
    """Return a Store at an address. Raises Refusal when it is away, or does not know the user."""
    store = ClientStore(_client(endpoint))
    store.open()
    return store


def _client(endpoint: Endpoint) -> "Client":
    # The driver takes a tenth of the start of `telemetry mcp`, which its first answers do not need.
    from clickhouse.client import Client  # noqa: PLC0415

    return Client(endpoint)


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise the client's errors as refusals."""
    try:
        yield
    except StatementRefused as error:
        raise refusal(error.message or str(error)) from None
    except OtherFormat:
        raise _not_rows() from None
    except CredentialsRefused as error:
        # To try again changes nothing.
        raise Refusal(Code.STORE_UNAVAILABLE, visible(str(error), _WORDS)) from None
    except ClientError as error:
        raise Refusal(
            Code.STORE_UNAVAILABLE, visible(str(error), _WORDS), retry_after_seconds=_BUSY_SECONDS
        ) from None


def parsed(pieces: Iterator[bytes], at_most: int | None = None, max_bytes: int | None = None) -> Rows:
    """Return the rows of an answer in the format ROWS, as far as the bounds of Store.rows let them be read.

    Raises Refusal when it is in another format, which a statement of a caller's may ask for.
    """
    try:
        return _parsed(pieces, at_most, max_bytes)
    except (TypeError, ValueError) as error:
        # A failure after the first rows is written where the next one would have been.
        if isinstance(error, orjson.JSONDecodeError) and "DB::Exception" in str(error.doc):
            raise refusal(str(error.doc)) from None
        raise _not_rows() from None


def _not_rows() -> Refusal:
    words = "The answer is not in rows: leave FORMAT and SETTINGS out of the statement."
    return Refusal(Code.INVALID_ARGUMENT, words, "sql")


def _parsed(pieces: Iterator[bytes], at_most: int | None, max_bytes: int | None) -> Rows:
    lines = _lines(pieces)
    columns, types = _names(next(lines, b"[]")), _names(next(lines, b"[]"))
    if len(columns) != len(types):
        raise ValueError("as many types as columns")
    converters = [converter(name) for name in types]
    found: list[tuple[Any, ...]] = []
    read = 0
    for line in lines:
        read += len(line)
        is_enough = at_most is not None and len(found) >= at_most
        # One row at least: a page of none would be asked for again and again.
        if is_enough or (max_bytes is not None and read > max_bytes and found):
            # Closes the connection, at which the server stops the query.
            lines.close()
            return Rows(columns, types, found, has_more=True)
        found.append(
            tuple(
                convert(value) if convert and value is not None else value
                for convert, value in zip(converters, orjson.loads(line), strict=True)
            )
        )
    return Rows(columns, types, found)


def _names(line: bytes) -> tuple[str, ...]:
    found = orjson.loads(line)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise TypeError("a list of names")
    return tuple(found)


def refusal(words: str) -> Refusal:
    """Return a Refusal with the server's own words, cut to size, and the place in the statement where it says one."""
    name = next(iter(reversed(_ERROR_NAME.findall(words))), "")
    code = _CODES.get(name, Code.QUERY_FAILED)
    place = _POSITION.search(words) if code is Code.QUERY_FAILED else None
    line = f", line {place[2]}, column {place[3]}" if place and place[2] else ""
    suggestion = f"Look at position {place[1]}{line}." if place else _REMEDIES.get(code, "")
    return Refusal(
        code,
        visible(re.sub(r" ?\(version [^)]*\)", "", words).strip(), _WORDS),
        "sql" if place else "",
        retry_after_seconds=_BUSY_SECONDS if code is Code.BUSY else None,
        suggestions=(suggestion,) if suggestion else (),
    )


def converter(type_name: str) -> Any:
    """Return what turns a column's JSON into Python's type, None where it is that already."""
    while wrapped := _WRAPPED.fullmatch(type_name):
        type_name = wrapped[1]
    if type_name.startswith("DateTime"):
        zone = _ZONE.search(type_name)
        return functools.partial(_time, zone=zone_of(zone[1]) if zone else UTC)
    if type_name in {"Date", "Date32"}:
        return date.fromisoformat
    if type_name.startswith(("Decimal", "Int128", "UInt128", "Int256", "UInt256")):
        return str
    return None


def _time(text: str, zone: tzinfo) -> datetime | str:
    """Return a time as ClickHouse writes it, by the clock of the column's zone, in UTC; text that is none as it is."""
    try:
        return datetime.fromisoformat(text[:26]).replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        return text


def _lines(pieces: Iterator[bytes]) -> Any:
    """Yield the lines of what arrives in pieces; closing this closes the source."""
    try:
        rest = b""
        for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            if len(rest) > _LONGEST_ROW:
                raise Refusal(
                    Code.RESULT_TOO_LARGE,
                    f"A row has more than {_LONGEST_ROW >> 20} MiB: ask for fewer columns, or for a part of them.",
                )
        if rest:
            yield rest
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
