"""Ask ClickHouse, embedded or a server, over its HTTP interface, in a format that ClickHouse itself writes."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from clickhouse.client_errors import StatementRefused

if TYPE_CHECKING:
    from clickhouse.client import Client  # its driver takes a third of a second to import

FORMATS: Final[Mapping[str, str]] = {
    "table": "PrettyCompact",
    "csv": "CSVWithNames",
    "json": "JSON",
    "jsonl": "JSONEachRow",
    "parquet": "Parquet",
    "markdown": "Markdown",
}


_NUMBERED: Final = re.compile(r"^(?:.*?Code: \d+\.\s*)?(?:DB::)?\w*Exception:\s*", re.DOTALL)
_AFTER: Final = re.compile(
    # What is for the engine's own developers: its version, its expectations, the statement as it was rewritten.
    r"\s*(?:\(version [^)]*\)|[.:]? ?(?:Expected one of|[Ii]n scope|[Ww]hile (?:executing|processing)|Stack trace).*)",
    re.DOTALL,
)
_NAME: Final = re.compile(r"\s*\(([A-Z][A-Z_]+)\)\.?\s*$")
_REMEDIES: Final[Mapping[str, str]] = {
    "READONLY": "Questions are asked as the user who only reads.",
    "ACCESS_DENIED": "Questions are asked as the user who only reads.",
    "TIMEOUT_EXCEEDED": "Ask for less, such as a shorter period.",
    "MEMORY_LIMIT_EXCEEDED": "Ask for less, such as a shorter period.",
    "UNKNOWN_TABLE": "SHOW TABLES lists the tables.",
    "UNKNOWN_IDENTIFIER": "DESCRIBE with the table's name lists its columns.",
}


class QuestionRefused(StatementRefused):
    """ClickHouse refused somebody's own question. The text is its own words, for them alone: it can quote data."""


def plain(message: str) -> str:
    """Return ClickHouse's words on a statement without its number, classes and version, and with a remedy."""
    name = _NAME.search(re.sub(r"\s*\(version [^)]*\)", "", message))
    words = _NAME.sub("", _AFTER.sub("", _NUMBERED.sub("", message.strip(), count=1))).strip().rstrip(".:")
    remedy = _REMEDIES.get(name[1], "") if name else ""
    return f"{words}. {remedy}".strip() if words else message


def ask(client: "Client", sql: str, values: Mapping[str, str], output_format: str) -> Iterator[bytes]:
    """Run somebody's own question with its parameters bound, and yield the result as it comes.

    `output_format` is a key of FORMATS; a FORMAT in the statement itself wins. Raises QuestionRefused, with
    ClickHouse's own words as `plain` has them, and other ClientErrors.
    """
    try:
        yield from client.stream(sql, values, FORMATS[output_format])
    except StatementRefused as error:
        raise QuestionRefused(
            plain(error.message or str(error)), error.reason, error.code, error.message
        ) from None


class Streams(Protocol):
    """What answers statements: a client, or a Store of `access.store`."""

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        """Yield the answer in one of ClickHouse's formats as it arrives."""
        ...


def records(client: Streams, sql: str, values: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Run one of the bundled questions, and return its rows by the names of their columns. Raises ClientError."""
    answer = b"".join(client.stream(sql, values, FORMATS["jsonl"]))
    # A text that was cut, or was never UTF-8, can end within a character.
    return [orjson.loads(line) for line in answer.decode(errors="replace").split("\n") if line]


def rows(client: Streams, sql: str, values: Mapping[str, str] | None = None) -> list[list[Any]]:
    """Run one of the bundled statements, and return its rows. Raises ClientError."""
    return [list(row.values()) for row in records(client, sql, values)]


def value(client: "Client", sql: str, values: Mapping[str, str]) -> str:
    """Ask for the one value of one row, as text; "" when there is no row. Raises ClientError."""
    found = records(client, sql, values)
    return str(next(iter(found[0].values()))) if found else ""
